import { ConnectionState, type RemoteParticipant, type Room, RoomEvent } from 'livekit-client';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { RoomRecordings } from '../recordings/useRoomRecordings';
import { type Interruption, interruptionIn, type Loss } from './interruption';

/** Others are told with this topic about which recording somebody has decided; the payload is its id. */
const ANSWER_TOPIC = 'reelroom.answered';
/** Others are asked with this topic whether somebody has; the payload is the id of the recording. */
const ASK_TOPIC = 'reelroom.answered?';
/** Those who know have so long to say it before a person is asked. */
const ASK_MS = 800;
const MAX_ID_BYTES = 128;
const STORE_KEY = 'reelroom.answered';
/** Answers of one sitting; older ones are forgotten. */
const MAX_ANSWERS = 50;

export interface InterruptionState {
  /** Since when the server is not heard, ms since 1970; null while it is. */
  unheardSince: number | null;
  /** About which everybody is to be asked. */
  interruption: Interruption | null;
  /** Somebody has decided about it: nobody is asked any more. */
  answer: (id: string) => void;
}

const remembered = (): string[] => {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(STORE_KEY) ?? '[]');
    return Array.isArray(stored) ? stored.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
};

/** Whether the server is heard, and what became of a recording that ran when it was not. */
export function useInterruption(room: Room, active: boolean, list: RoomRecordings): InterruptionState {
  const [unheardSince, setUnheardSince] = useState<number | null>(null);
  const [joined, setJoined] = useState(false);
  const [loss, setLoss] = useState<Loss | null>(null);
  const [answers, setAnswers] = useState<string[]>(remembered);
  const answered = useMemo(() => new Set(answers), [answers]);
  const recorded = useRef(active);
  if (unheardSince === null) recorded.current = active;

  const learn = useCallback((id: string) => {
    setAnswers((known) => {
      if (known.includes(id)) return known;
      const all = [...known, id].slice(-MAX_ANSWERS);
      try {
        sessionStorage.setItem(STORE_KEY, JSON.stringify(all));
      } catch {
        // A page that may not store anything asks again after a reload.
      }
      return all;
    });
  }, []);

  useEffect(() => {
    // Of the session that is heard now; another one means that the server began anew.
    let session: string | null = null;
    let lost: { roomId: string | null; at: number; recorded: boolean } | null = null;
    const meet = async () => {
      const roomId = await room.getSid().catch(() => null);
      if (roomId === null) return;
      // A server that was restarted on purpose goes on with the recording, and says so from the first moment on.
      const goesOn = room.isRecording;
      if (lost?.recorded && lost.roomId !== null && lost.roomId !== roomId && !goesOn) {
        setLoss({ roomId: lost.roomId, at: lost.at });
      }
      lost = null;
      session = roomId;
    };
    const changed = (state: ConnectionState) => {
      if (state === ConnectionState.Connected) {
        setUnheardSince(null);
        setJoined(true);
        void meet();
      } else if (state !== ConnectionState.Connecting && lost === null) {
        lost = { roomId: session, at: Date.now(), recorded: recorded.current };
        setUnheardSince(lost.at);
      }
    };
    if (room.state === ConnectionState.Connected) changed(room.state);
    room.on(RoomEvent.ConnectionStateChanged, changed);
    return () => {
      room.off(RoomEvent.ConnectionStateChanged, changed);
    };
  }, [room]);

  const say = useCallback(
    (topic: string, id: string, to?: RemoteParticipant) => {
      const options = { reliable: true, topic, ...(to ? { destinationIdentities: [to.identity] } : {}) };
      // Who does not hear it is asked once more; that costs a click.
      room.localParticipant.publishData(new TextEncoder().encode(id), options).catch(() => {});
    },
    [room],
  );

  useEffect(() => {
    const received = (data: Uint8Array, from?: RemoteParticipant, _kind?: unknown, topic?: string) => {
      if (data.length > MAX_ID_BYTES) return;
      const id = new TextDecoder().decode(data);
      if (topic === ANSWER_TOPIC) learn(id);
      if (topic === ASK_TOPIC && from && answered.has(id)) say(ANSWER_TOPIC, id, from);
    };
    room.on(RoomEvent.DataReceived, received);
    return () => {
      room.off(RoomEvent.DataReceived, received);
    };
  }, [room, answered, learn, say]);

  const { recordings, clockOffset } = list;
  const found = useMemo(
    () =>
      !joined || active || unheardSince !== null
        ? null
        : interruptionIn({ recordings, clockOffset, loss, answered, now: Date.now() }),
    [joined, active, unheardSince, recordings, clockOffset, loss, answered],
  );

  const foundId = found?.id ?? null;
  const [asked, setAsked] = useState<string | null>(null);
  useEffect(() => {
    if (foundId === null) return;
    say(ASK_TOPIC, foundId);
    const timer = window.setTimeout(() => setAsked(foundId), ASK_MS);
    return () => window.clearTimeout(timer);
  }, [foundId, say]);

  const answer = useCallback(
    (id: string) => {
      learn(id);
      say(ANSWER_TOPIC, id);
    },
    [learn, say],
  );
  return { unheardSince, interruption: found?.id === asked ? found : null, answer };
}
