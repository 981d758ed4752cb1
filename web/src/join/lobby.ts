/** Somebody waits to be let into a room: asks how it stands until that is known. */
import { type Admission, ApiError, type Knock, leaveLobby, lobbyTurn, requestToken, type Turn } from '../api';
import { pause } from '../pause';

/** The server holds a question until there is something new; where it has no place for that it answers at once. */
const OFTEN_MS = 2000;
/** It was held. */
const HELD_MS = 1000;

/** What to do after a question that was not answered. */
export type Next = 'go on' | 'knock again' | 'give up';

export function nextAfter(error: unknown): Next {
  if (!(error instanceof ApiError)) return 'give up';
  // The server was started anew, or this computer slept: they are not known any more.
  if (error.status === 404) return 'knock again';
  if (error.status === 0 || error.status === 429 || error.status >= 500) return 'go on';
  return 'give up';
}

interface Waiting {
  knock: Knock;
  participantName: string;
  /** Told how it stands, while they wait. */
  onTurn: (turn: Turn) => void;
  /** They wait no more. */
  signal: AbortSignal;
}

/** With what whoever is let in comes in; null for whoever is not, or waits no more. Throws what a person has to be told. */
export async function waitToBeLetIn({
  knock: first,
  participantName,
  onTurn,
  signal,
}: Waiting): Promise<Admission | null> {
  /** Null where the server knows them no more, until they have knocked again. */
  let knock: Knock | null = first;
  let shown: Turn | null = null;
  while (!signal.aborted) {
    const askedAt = Date.now();
    try {
      if (knock === null) {
        const again = await requestToken(first.roomName, participantName);
        // Whoever does not wait any more does not come in either.
        if ('token' in again) return signal.aborted ? null : again;
        knock = again;
        shown = null;
      }
      const { turn, admission } = await lobbyTurn(knock, shown, signal);
      if (turn === 'admitted') return admission;
      if (turn === 'refused') return null;
      onTurn(turn);
      if (turn === shown && Date.now() - askedAt < HELD_MS) await pause(OFTEN_MS, signal);
      shown = turn;
    } catch (error) {
      if (signal.aborted) break;
      const next = nextAfter(error);
      // Whoever was refused meanwhile is told so.
      const isRefused = knock === null && error instanceof ApiError && error.status === 429;
      if (next === 'give up' || isRefused) throw error;
      if (next === 'knock again') knock = null;
      await pause(OFTEN_MS, signal);
    }
  }
  // Otherwise they would be shown for some seconds more.
  if (knock !== null) leaveLobby(knock).catch(() => {});
  return null;
}
