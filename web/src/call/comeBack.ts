import {
  ConnectionError,
  ConnectionErrorReason,
  ConnectionState,
  type ReconnectPolicy,
  type Room,
  RoomEvent,
} from 'livekit-client';
import { pause } from '../pause';

/** A restart of the server takes a second or two, in which everybody tries often. */
const SOON_MS = 10_000;
/** Longer than any restart, and than a laptop takes to find its network again. */
const PATIENCE_MS = 180_000;

const AGAIN_MS = 500;

/** When it is looked again who is in the room, after a return. */
const LOOK_AGAIN_MS = [300, 1000, 3000];

/** How long to wait before a call is tried again that was lost so long ago; null: no more. `chance`, from 0 to 1, keeps people apart who were lost together. */
export function delayBefore(elapsedMs: number, retryCount: number, chance: number): number | null {
  if (elapsedMs >= PATIENCE_MS) return null;
  // Of whoever the server tells to come back nobody is lost: it begins anew within a moment.
  if (retryCount === 0) return 300 * chance;
  return (elapsedMs < SOON_MS ? 400 : 3000) * (0.5 + chance);
}

/** Comes back by itself, within a second of when the server is there again. */
export const comeBack: ReconnectPolicy = {
  nextRetryDelayInMs: ({ elapsedMs, retryCount }) => delayBefore(elapsedMs, retryCount, Math.random()),
};

/** Whether the server is not there at the moment: nobody answers, or only what stands in front of it does, or it is about to restart and
 * opens no more rooms. The client tells the status of none of these; that of a refusal is another reason. */
export const isAway = (error: unknown): boolean => {
  if (!(error instanceof ConnectionError)) return false;
  switch (error.reason) {
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.WebSocket:
      return true;
    // It went while it was asked. Other internal errors of the client have the same reason.
    case ConnectionErrorReason.InternalError:
      return error.message.includes('Websocket got closed');
    default:
      return false;
  }
};

/** Whether it sent them away as they came: the room is full, or ended at that very moment. The client does not tell which. */
const isSentAway = (error: unknown): boolean =>
  error instanceof ConnectionError && error.reason === ConnectionErrorReason.LeaveRequest;

/** Joins, and tries for some seconds while the server is away. Throws why it cannot be. */
export async function connect(
  room: Pick<Room, 'connect'>,
  { serverUrl, token }: { serverUrl: string; token: string },
  isGone: () => boolean,
): Promise<void> {
  const until = Date.now() + SOON_MS;
  let sentAway = 0;
  for (;;) {
    try {
      return await room.connect(serverUrl, token);
    } catch (error) {
      if (isSentAway(error)) sentAway += 1;
      const mayComeIn = isAway(error) || (isSentAway(error) && sentAway === 1);
      if (!mayComeIn || isGone() || Date.now() >= until) throw error;
      await pause(AGAIN_MS);
      if (isGone()) throw error;
    }
  }
}

/** The client holds back what it says of the room's tracks until it is back, and for a moment longer; what happens in that moment it says at the
 * next return only. Whoever shows the room looks again when it says that it is connected, so that is said again. Gives what ends it. */
export function lookAgain(room: Pick<Room, 'on' | 'off' | 'emit' | 'state'>): () => void {
  let timers: ReturnType<typeof setTimeout>[] = [];
  const forget = () => {
    for (const timer of timers) clearTimeout(timer);
  };
  const look = () => {
    if (room.state === ConnectionState.Connected) room.emit(RoomEvent.ConnectionStateChanged, room.state);
  };
  const returned = () => {
    forget();
    timers = LOOK_AGAIN_MS.map((ms) => setTimeout(look, ms));
  };
  room.on(RoomEvent.Reconnected, returned);
  return () => {
    forget();
    room.off(RoomEvent.Reconnected, returned);
  };
}
