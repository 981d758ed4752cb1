import { type Room, RoomEvent } from 'livekit-client';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { messageOf, startRecording, stopRecording } from '../api';
import { texts } from '../texts';
import type { Notice } from '../ui/Notices';

export type Phase = 'idle' | 'starting' | 'recording' | 'stopping';

export interface RoomRecording {
  phase: Phase;
  /** Told by the media server, to everybody. */
  active: boolean;
  /** When this page learned that it is active; ms since 1970. */
  since: number | null;
  start: () => void;
  stop: () => void;
}

/** After this the button is given back, whatever happened to the event. */
const PATIENCE_MS = 15_000;

/** Whether this room is recorded, and the two things one can do about it. */
export function useRoomRecording(
  room: Room,
  notify: (kind: Notice['kind'], text: string) => void,
): RoomRecording {
  const active = useSyncExternalStore(
    useCallback(
      (changed: () => void) => {
        const events = [
          RoomEvent.RecordingStatusChanged,
          RoomEvent.Connected,
          RoomEvent.Reconnected,
          RoomEvent.Disconnected,
        ] as const;
        for (const event of events) room.on(event, changed);
        return () => {
          for (const event of events) room.off(event, changed);
        };
      },
      [room],
    ),
    () => room.isRecording,
  );
  const [pending, setPending] = useState<'starting' | 'stopping' | null>(null);
  const [since, setSince] = useState<number | null>(null);
  const before = useRef(active);

  useEffect(() => {
    setSince(active ? Date.now() : null);
    setPending(null);
    if (before.current !== active) notify('info', active ? texts.recording.began : texts.recording.stopped);
    before.current = active;
  }, [active, notify]);

  useEffect(() => {
    if (pending === null) return;
    const timer = window.setTimeout(() => setPending(null), PATIENCE_MS);
    return () => window.clearTimeout(timer);
  }, [pending]);

  const ask = async (now: 'starting' | 'stopping', request: () => Promise<void>, failed: string) => {
    setPending(now);
    try {
      await request();
    } catch (error) {
      setPending(null);
      notify('error', `${failed}: ${messageOf(error)}`);
    }
  };

  return {
    active,
    since,
    phase: pending ?? (active ? 'recording' : 'idle'),
    start: () => void ask('starting', () => startRecording(room.name), texts.recording.startFailed),
    stop: () => void ask('stopping', () => stopRecording(room.name), texts.recording.stopFailed),
  };
}
