import { type Room, RoomEvent } from 'livekit-client';
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { clockOffset, messageOf, startRecording, stopRecording } from '../api';
import { texts } from '../texts';
import type { Notice } from '../ui/Notices';
import { outcomeOf, type RoomState, readRoomState, type Shown, shownOf } from './roomState';

export type Phase = 'idle' | 'starting' | 'recording' | 'stopping';

export interface RoomRecording {
  phase: Phase;
  /** Told by the media server, to everybody. */
  active: boolean;
  /** What people are shown of it. */
  shown: Shown;
  /** When it began, or when this page learned of it; ms since 1970, by this machine's clock. */
  since: number | null;
  /** Why the last one failed, for a while. */
  failure: string | null;
  start: () => void;
  stop: () => void;
}

/** After this the button is given back, whatever happened to the event. */
const PATIENCE_MS = 15_000;
const FAILURE_SHOWN_MS = 30_000;

const EVENTS = [
  RoomEvent.RecordingStatusChanged,
  RoomEvent.RoomMetadataChanged,
  RoomEvent.Connected,
  RoomEvent.Reconnected,
  RoomEvent.Disconnected,
] as const;

/** What the room says of itself. */
function useOfRoom<T>(room: Room, read: () => T): T {
  const subscribe = useCallback(
    (changed: () => void) => {
      for (const event of EVENTS) room.on(event, changed);
      return () => {
        for (const event of EVENTS) room.off(event, changed);
      };
    },
    [room],
  );
  return useSyncExternalStore(subscribe, read);
}

/** Whether this room is recorded, and the two things one can do about it. */
export function useRoomRecording(
  room: Room,
  notify: (kind: Notice['kind'], text: string) => void,
): RoomRecording {
  const active = useOfRoom(room, () => room.isRecording);
  const metadata = useOfRoom(room, () => room.metadata);
  const state = useMemo(() => readRoomState(metadata), [metadata]);
  const [pending, setPending] = useState<'starting' | 'stopping' | null>(null);
  const [learned, setLearned] = useState<number | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [isSlow, setSlow] = useState(false);
  /** What was said before the room was recorded anew, and is not of that. */
  const [outdated, setOutdated] = useState<RoomState | null>(null);
  const before = useRef(active);
  const stateBefore = useRef(state);

  useEffect(() => {
    setLearned(active ? Date.now() : null);
    setPending(null);
    if (active) {
      setFailure(null);
      // As it was before this effect: what came together with the recording is of it.
      setOutdated(stateBefore.current);
    }
    if (before.current !== active) notify('info', active ? texts.recording.began : texts.recording.stopped);
    before.current = active;
  }, [active, notify]);

  useEffect(() => {
    const outcome = outcomeOf(stateBefore.current, state);
    stateBefore.current = state;
    if (outcome === 'ready') notify('info', texts.recording.ready);
    if (outcome !== 'failed') return;
    setPending(null);
    setFailure(state?.error ?? texts.failedUnknown);
  }, [state, notify]);

  useEffect(() => {
    if (failure === null) return;
    const timer = window.setTimeout(() => setFailure(null), FAILURE_SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [failure]);

  useEffect(() => {
    if (pending === null) return;
    const timer = window.setTimeout(() => setPending(null), PATIENCE_MS);
    return () => window.clearTimeout(timer);
  }, [pending]);

  const shown = useMemo(
    () => shownOf(active, active && state === outdated ? null : state),
    [active, state, outdated],
  );
  // One that does not get going can be stopped, by anybody who may.
  useEffect(() => {
    setSlow(false);
    if (shown.at !== 'starting') return;
    const timer = window.setTimeout(() => setSlow(true), PATIENCE_MS);
    return () => window.clearTimeout(timer);
  }, [shown.at]);

  const ask = async (now: 'starting' | 'stopping', request: () => Promise<void>, failed: string) => {
    setPending(now);
    try {
      await request();
    } catch (error) {
      setPending(null);
      notify('error', `${failed}: ${messageOf(error)}`);
    }
  };

  const isRunning = shown.at === 'recording' || isSlow;
  const isStarting = shown.at === 'starting' && !isSlow;
  const startedAt = state?.status === 'recording' ? state.startedAt : null;
  return {
    active,
    shown,
    since: startedAt === null ? learned : startedAt - clockOffset(),
    failure,
    phase: pending ?? (isRunning ? 'recording' : isStarting ? 'starting' : 'idle'),
    start: () => void ask('starting', () => startRecording(room.name), texts.recording.startFailed),
    stop: () => void ask('stopping', () => stopRecording(room.name), texts.recording.stopFailed),
  };
}
