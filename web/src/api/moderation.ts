/** What whoever runs a room does about those who wait for it or are in it. */
import { call } from './client';
import { roomUrl } from './paths';
import { isKnown, may } from './proof';
import type { SOURCES } from './report';
import { amount, isObject, list, text } from './values';

/** Somebody who waits, as whoever runs the room sees them. */
export interface Waiter {
  id: string;
  name: string;
  /** Milliseconds since 1970, by the server's clock. */
  since: number;
}

export interface Lobby {
  /** Whether guests have to wait. */
  lobby: boolean;
  /** Another one after each change. */
  version: number;
  /** Whoever came first stands first. */
  waiting: Waiter[];
}

/** Who waits for a room: the answer may take some seconds where its version is `seen`. */
export async function roomLobby(roomName: string, seen: number | null, signal?: AbortSignal): Promise<Lobby> {
  const path = `${roomUrl(roomName)}/lobby`;
  const { body } = await call('GET', seen === null ? path : `${path}?seen=${seen}`, undefined, signal);
  const waiting = list(body.waiting)
    .filter(isObject)
    .flatMap((waiter): Waiter[] => {
      const [id, name] = [text(waiter.id), text(waiter.name)];
      return id === null || name === null ? [] : [{ id, name, since: amount(waiter.since) ?? 0 }];
    });
  return { lobby: body.lobby === true, version: amount(body.version) ?? 0, waiting };
}

/** Lets those in who wait, or does not. Whoever came since is none of them. */
export async function decideLobby(
  roomName: string,
  decision: 'admit' | 'refuse',
  ids: readonly string[],
): Promise<void> {
  await call('POST', `${roomUrl(roomName)}/lobby/${decision}`, { ids: [...ids] });
}

/** Whether it is worth asking who waits for a room: somebody came by a host's link, or is signed in. */
export const runsRooms = (): boolean => may('moderate') && isKnown();

const personUrl = (roomName: string, identity: string): string =>
  `${roomUrl(roomName)}/participants/${encodeURIComponent(identity)}`;

/** Mutes somebody until they unmute themselves. */
export async function mutePerson(
  roomName: string,
  identity: string,
  source: (typeof SOURCES)[number],
): Promise<void> {
  await call('POST', `${personUrl(roomName, identity)}/mute`, { source });
}

export async function removePerson(roomName: string, identity: string): Promise<void> {
  await call('DELETE', personUrl(roomName, identity));
}
