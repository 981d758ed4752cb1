import { useCallback, useEffect, useState } from 'react';
import { listRecordings, may, messageOf, onSession, type Recording } from '../api';
import { useToldList } from './useToldList';

export interface RoomRecordings {
  recordings: Recording[] | null;
  clockOffset: number;
  error: string | null;
  /** The server has not been heard for a while. */
  unheard: boolean;
  refresh: () => void;
  /** A recording was deleted. */
  forget: (name: string) => void;
}

/** The recordings of one room, as they are told. Whoever may not list them has none. */
export function useRoomRecordings(roomName: string): RoomRecordings {
  const [recordings, setRecordings] = useState<Recording[] | null>(null);
  const [clockOffset, setClockOffset] = useState(0);
  const [error, setError] = useState<string | null>(null);
  const [round, setRound] = useState(0);

  const refresh = useCallback(() => setRound((round) => round + 1), []);
  const view = { roomName, q: '', sort: '-startedAt', hasMore: false } as const;
  const { read, unheard } = useToldList(view, setRecordings, refresh, may('list'));

  useEffect(() => onSession((signedIn) => signedIn && refresh()), [refresh]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` asks for a fresh look.
  useEffect(() => {
    if (!may('list')) return;
    const abort = new AbortController();
    read(() => listRecordings({ roomName }, abort.signal)).then(
      (page) => {
        if (abort.signal.aborted) return;
        setRecordings(page.recordings);
        setClockOffset(page.clockOffset);
        setError(null);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setError(messageOf(error));
      },
    );
    return () => abort.abort();
  }, [roomName, read, round]);

  const forget = useCallback(
    (gone: string) => setRecordings((shown) => shown?.filter(({ name }) => name !== gone) ?? null),
    [],
  );

  return { recordings, clockOffset, error, unheard, refresh, forget };
}
