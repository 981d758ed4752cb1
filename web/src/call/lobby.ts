/** Whoever runs a room is told who waits to be let in. */
import { ApiError, roomLobby, type Waiter } from '../api';
import { pause } from '../pause';

/** The server holds a question until there is something new; where it has no place for that it answers at once. */
const OFTEN_MS = 2000;
/** It was held. */
const HELD_MS = 1000;
/** Nobody has to wait, or the server does not answer: either may change. */
const SELDOM_MS = 15_000;

/** Those who were not there before. */
export function newcomers(before: readonly Waiter[], now: readonly Waiter[]): Waiter[] {
  const known = new Set(before.map(({ id }) => id));
  return now.filter(({ id }) => !known.has(id));
}

/** Tells who waits as it changes, until `signal` ends it or whoever asks may not any more. */
export async function followLobby(
  roomName: string,
  onWaiting: (waiting: Waiter[]) => void,
  signal: AbortSignal,
): Promise<void> {
  let seen: number | null = null;
  while (!signal.aborted) {
    const askedAt = Date.now();
    try {
      const { lobby, version, waiting } = await roomLobby(roomName, seen, signal);
      if (signal.aborted) return;
      onWaiting(waiting);
      if (!lobby) await pause(SELDOM_MS, signal);
      else if (version === seen && Date.now() - askedAt < HELD_MS) await pause(OFTEN_MS, signal);
      seen = lobby ? version : null;
    } catch (error) {
      if (signal.aborted) return;
      seen = null;
      if (error instanceof ApiError && error.status === 403) return onWaiting([]);
      await pause(SELDOM_MS, signal);
    }
  }
}
