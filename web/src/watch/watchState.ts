/** What somebody sees who came by a link to a recording. Pure. */
import { ApiError, messageOf, type Watched } from '../api';

/**
 * - `opening`: the server has not answered yet
 * - `locked`: the link has a password; `refusal` is what was wrong with what was typed
 * - `showing`: `opened` counts how often the link was opened: a player begins anew with each
 * - `over`: the link is none, or none any more
 * - `failed`: anything else, for now
 */
export type WatchState =
  | { at: 'opening' }
  | { at: 'locked'; refusal: string | null }
  | { at: 'showing'; watched: Watched; opened: number }
  | { at: 'over' }
  | { at: 'failed'; reason: string };

/** What stands behind the "#" of a link; null where there is nothing. */
export function secretOf(hash: string): string | null {
  return hash.replace(/^#/, '') || null;
}

/** The link could not be opened. `typed`: with a password. */
export function refused(error: unknown, typed: boolean): WatchState {
  const status = error instanceof ApiError ? error.status : 0;
  if (status === 410) return { at: 'over' };
  const reason = messageOf(error);
  // Whoever is too fast, or comes while others are looked at, keeps the form.
  if (status === 401 || (typed && status !== 0)) return { at: 'locked', refusal: typed ? reason : null };
  return { at: 'failed', reason };
}

/** What the server says of a link that is being watched. */
export type News = { watched: Watched } | { error: unknown };

/** What becomes of what is shown; `open` where the link has to be opened again. */
export function heard(state: WatchState, news: News): WatchState | 'open' {
  if (state.at !== 'showing') return state;
  if ('watched' in news) return { ...state, watched: news.watched };
  const status = news.error instanceof ApiError ? news.error.status : 0;
  if (status === 401) return 'open';
  // What is not known takes nothing away: the player says by itself when it gets nothing.
  return status === 410 ? { at: 'over' } : state;
}

/** Whether there is anything to play. */
export const plays = ({ status, playable }: Watched): boolean => status === 'complete' || playable !== null;
