/**
 * How a page follows what happens: when it asks, when it waits, and since when it has heard nothing. Pure.
 *
 *   asking ─► open ─► what is told …
 *     ▲        │ ended, or mute for too long
 *     │        ▼
 *     └──── waiting (longer each time, until something is told)     over: whoever asks may not; until they are somebody else
 */

/** A server that tells nothing else tells so often that it is there. */
const BEAT_MS = 15_000;
/** A stream tells something at once. What holds that back, such as a proxy that waits for the end, is no stream. */
export const FIRST_MS = 5000;
/** After this a stream that was heard is taken for dead, and people are told that the server is not heard. */
export const UNHEARD_MS = BEAT_MS + 5000;
const FIRST_PAUSE_MS = 1000;
/** With `FIRST_MS` less than `UNHEARD_MS`: where the list can be read and nothing followed, it is read that often. */
const LONGEST_PAUSE_MS = 12_000;

/** Somebody has to show who they are, or may not follow: asking again changes nothing. */
const FINAL = [401, 403];
/** Nobody of the server's answered. */
const UNANSWERED = [0, 502, 504];

export interface Following {
  course: 'asking' | 'open' | 'waiting' | 'over';
  /** Of the last event that was heard: what was missed is told with it. */
  lastId: string | null;
  /** Tries in a row by which nothing was told. */
  failures: number;
  /** When the server was heard last, by whatever; ms since 1970. */
  heardAt: number;
}

export const begin = (now: number): Following => ({
  course: 'asking',
  lastId: null,
  failures: 0,
  heardAt: now,
});

/** It is asked, or asked again. Whoever rested is not to be told that nothing was heard meanwhile. */
export const asking = (following: Following): Following => ({ ...following, course: 'asking' });

/** It answers with a stream. That alone says nothing. */
export const opened = (following: Following): Following => ({ ...following, course: 'open' });

/** The stream says something. */
export const told = (following: Following, id: string | null, now: number): Following => ({
  ...following,
  lastId: id ?? following.lastId,
  failures: 0,
  heardAt: now,
});

/** The server was heard otherwise. */
export const heard = (following: Following, now: number): Following => ({ ...following, heardAt: now });

/** A stream ended, or there is none. `status`: of the answer; 0: there was none; null: the stream had begun. */
export function ended(
  following: Following,
  status: number | null,
  now: number,
  random: number,
): { following: Following; waitMs: number } {
  const isAnswered = status !== null && !UNANSWERED.includes(status);
  const next: Following = {
    ...following,
    course: status !== null && FINAL.includes(status) ? 'over' : 'waiting',
    failures: following.failures + 1,
    heardAt: isAnswered ? now : following.heardAt,
  };
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(following.failures, 10));
  // Not all who follow come again at the same time.
  return { following: next, waitMs: longest * (0.5 + random / 2) };
}

/** Whether the list has to be read meanwhile: nothing tells what changes in it. */
export const isBlind = (following: Following): boolean => following.failures > 1;

/** Whether people have to be told that what they see may not be so any more. */
export const isUnheard = (following: Following, now: number): boolean =>
  following.course !== 'over' && now - following.heardAt > UNHEARD_MS;
