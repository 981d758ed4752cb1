import { useCallback, useEffect, useRef, useState } from 'react';
import { isChanging, listRecordings, may, messageOf, onSession, type Recording } from '../api';

const BUSY_MS = 1000;
const IDLE_MS = 15_000;
/** After a start or stop the list is watched for this long, until what began or ended is on it. */
const WATCH_MS = 8000;

export interface RoomRecordings {
  recordings: Recording[] | null;
  clockOffset: number;
  error: string | null;
  refresh: () => void;
}

/** The recordings of one room, kept up to date. `active`: whether it is recorded now. */
export function useRoomRecordings(roomName: string, active: boolean): RoomRecordings {
  const [recordings, setRecordings] = useState<Recording[] | null>(null);
  const [clockOffset, setClockOffset] = useState(0);
  const [error, setError] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  const watchUntil = useRef(0);

  const refresh = useCallback(() => setRound((round) => round + 1), []);

  useEffect(() => onSession((signedIn) => signedIn && refresh()), [refresh]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of `active` is what begins the watch.
  useEffect(() => {
    watchUntil.current = Date.now() + WATCH_MS;
  }, [active]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `active` and `round` ask for a fresh look.
  useEffect(() => {
    if (!may('list')) return;
    const abort = new AbortController();
    let timer = 0;
    const look = async () => {
      let busy = false;
      try {
        const page = await listRecordings({ roomName }, abort.signal);
        if (abort.signal.aborted) return;
        setRecordings(page.recordings);
        setClockOffset(page.clockOffset);
        setError(null);
        busy = page.recordings.some(isChanging);
      } catch (error) {
        if (abort.signal.aborted) return;
        setError(messageOf(error));
      }
      timer = window.setTimeout(look, busy || Date.now() < watchUntil.current ? BUSY_MS : IDLE_MS);
    };
    void look();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [roomName, active, round]);

  return { recordings, clockOffset, error, refresh };
}
