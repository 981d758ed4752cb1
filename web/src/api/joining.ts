/** How somebody comes into a room: at once, or by waiting in its lobby. */
import { texts } from '../texts';
import { ApiError, call } from './client';
import { roomUrl } from './paths';
import { isObject, text } from './values';

/** What lets somebody into a room. */
export interface Admission {
  token: string;
  /** Whether the room records only those who agree. */
  asksConsent: boolean;
}

/** Somebody who waits to be let into a room. */
export interface Knock {
  roomName: string;
  id: string;
  secret: string;
}

/** A token for a room; or, where a host lets guests in, what somebody who waits is known by. */
export async function requestToken(roomName: string, participantName: string): Promise<Admission | Knock> {
  const { body } = await call('POST', '/token', { roomName, participantName });
  const waiting = isObject(body.waiting) ? body.waiting : {};
  const [token, id, secret] = [text(body.token), text(waiting.id), text(waiting.secret)];
  if (token !== null) return { token, asksConsent: body.consent === true };
  if (id === null || secret === null) throw new ApiError(texts.errors.unexpected, 200);
  return { roomName, id, secret };
}

export const TURNS = ['waiting', 'alone', 'admitted', 'refused'] as const;
/** How it stands with somebody who waits; `alone`: nobody is there who can let them in. */
export type Turn = (typeof TURNS)[number];

const knockUrl = ({ roomName, id }: Knock): string => `${roomUrl(roomName)}/lobby/${encodeURIComponent(id)}`;
const knockHeaders = ({ secret }: Knock): Record<string, string> => ({ 'X-Reelroom-Knock': secret });

/** How it stands with somebody who waits: the answer may take some seconds where it is as `shown`. Whoever is admitted comes in with what is beside it. */
export async function lobbyTurn(
  knock: Knock,
  shown: Turn | null,
  signal?: AbortSignal,
): Promise<{ turn: Turn; admission: Admission | null }> {
  const path = shown === null ? knockUrl(knock) : `${knockUrl(knock)}?shown=${shown}`;
  const { body } = await call('GET', path, undefined, signal, knockHeaders(knock));
  const turn = TURNS.find((known) => known === body.state);
  const token = text(body.token);
  if (turn === undefined || (turn === 'admitted' && token === null)) {
    throw new ApiError(texts.errors.unexpected, 200);
  }
  return { turn, admission: token === null ? null : { token, asksConsent: body.consent === true } };
}

/** Waits no more. */
export async function leaveLobby(knock: Knock): Promise<void> {
  await call('DELETE', knockUrl(knock), undefined, undefined, knockHeaders(knock));
}
