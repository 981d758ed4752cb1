import { ConnectionError, ConnectionErrorReason, type ReconnectPolicy, type Room } from 'livekit-client';
import { pause } from '../pause';

/** A restart of the server takes a second or two, in which everybody tries often. */
const SOON_MS = 10_000;
/** Longer than any restart, and than a laptop takes to find its network again. */
const PATIENCE_MS = 180_000;

const AGAIN_MS = 500;

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

const statusIn = (context: unknown): unknown =>
  typeof context === 'object' && context !== null && 'status' in context ? context.status : null;

/** Whether nobody answers, or only to say that the server is about to restart. */
const isAway = (error: unknown): boolean =>
  error instanceof ConnectionError &&
  (error.reason === ConnectionErrorReason.ServerUnreachable || statusIn(error.context) === 503);

/** Joins, and tries for some seconds while the server is away. Throws why it cannot be. */
export async function connect(
  room: Pick<Room, 'connect'>,
  { serverUrl, token }: { serverUrl: string; token: string },
  isGone: () => boolean,
): Promise<void> {
  const until = Date.now() + SOON_MS;
  for (;;) {
    try {
      return await room.connect(serverUrl, token);
    } catch (error) {
      if (!isAway(error) || isGone() || Date.now() >= until) throw error;
      await pause(AGAIN_MS);
    }
  }
}
