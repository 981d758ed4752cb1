/** What the server said last, and whether it still says so. Pure. */

export interface Heard<T> {
  /** Null: it has not said anything yet. */
  value: T | null;
  /** When it said so, ms since 1970 by this machine's clock. */
  at: number | null;
  /** Why the last question has no answer; null where it has. */
  error: string | null;
}

export const NOTHING: Heard<never> = { value: null, at: null, error: null };

export const answered = <T>(value: T, at: number): Heard<T> => ({ value, at, error: null });

/** What was heard before stays, and is known to be old. */
export const unanswered = <T>(before: Heard<T>, error: string): Heard<T> => ({ ...before, error });

/** Longer than until the next answer: after that nothing is known of what goes on. */
const GOES_ON_MS = 10_000;

/** How long something has gone on that had gone on for so many seconds as it was told. It stands still while the server is silent. */
export function elapsed(told: number, { at, error }: Heard<unknown>, now: number): number {
  if (at === null || error !== null) return told;
  return told + Math.min(GOES_ON_MS, Math.max(0, now - at)) / 1000;
}
