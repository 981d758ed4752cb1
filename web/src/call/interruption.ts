import { isUnfinished, type Recording } from '../api';

/** A recording that nobody ended: the server was lost while it ran. */
export interface Interruption {
  /** Of the recording. */
  id: string;
  /** When it ended, ms since 1970 by this machine's clock. */
  endedAt: number;
}

/** What this page saw itself: the room was recorded when the server was lost, and is another session now. */
export interface Loss {
  /** Of the session of the room that was recorded. */
  roomId: string;
  /** When the server was last heard, ms since 1970. */
  at: number;
}

/** After this nobody is asked any more whether to record again: it is another meeting. */
const FRESH_MS = 30 * 60_000;

export interface Known {
  /** Of the room, newest first, as the server lists them. */
  recordings: Recording[] | null;
  /** The server's clock minus ours, in ms. */
  clockOffset: number;
  loss: Loss | null;
  /** Ids of those about which somebody has decided. */
  answered: ReadonlySet<string>;
  now: number;
}

/**
 * The recording about which everybody is asked whether to record again. The server's list decides: it is the newest of
 * the room, and either the server says that it died over it, or it belongs to the session of the room that this page
 * lost. Whoever records anew, in whatever way, makes another the newest.
 */
export function interruptionIn({ recordings, clockOffset, loss, answered, now }: Known): Interruption | null {
  const newest = recordings?.[0];
  if (!newest || answered.has(newest.id)) return null;
  if (loss !== null && newest.roomId === loss.roomId) return { id: newest.id, endedAt: loss.at };
  if (newest.lostSeconds === null || newest.duration === null || isUnfinished(newest)) return null;
  const endedAt = newest.startedAt - clockOffset + newest.duration * 1000;
  return now - endedAt < FRESH_MS ? { id: newest.id, endedAt } : null;
}
