import { ApiError } from '../api';
import { pause } from '../pause';

/** A restart of the server takes a second or two. */
const PATIENCE_MS = 10_000;
const AGAIN_MS = 500;

/** Whether the server, or what stands in front of it, says that it is not there at the moment. */
const isAway = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 0 || [502, 503, 504].includes(error.status));

interface Patience {
  /** The server is away, and is asked again. */
  onAway: () => void;
  /** Nobody wants to know any more. */
  signal: AbortSignal;
}

/** Asks, and asks again for some seconds while the server is away, as it is while it is restarted. Throws what it said at last. */
export async function patiently<T>(ask: () => Promise<T>, { onAway, signal }: Patience): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isAway(error) || signal.aborted || Date.now() >= until) throw error;
      onAway();
      await pause(AGAIN_MS, signal);
    }
  }
}
