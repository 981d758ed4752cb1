/** Who comes in as the owner: browsers, by their sessions, and programs, by their keys. */
import { texts } from '../../texts';
import { ApiError, call } from '../client';
import { all, amount, type Json, list, text, words } from '../values';

/** A browser in which the owner is signed in. Times are milliseconds since 1970. */
export interface Session {
  id: string;
  begunAt: number;
  seenAt: number;
  /** When it ends if nothing more is done in it. */
  endsAt: number;
  address: string | null;
  /** What its browser calls itself. */
  userAgent: string;
  /** Whether it is this browser's. */
  isCurrent: boolean;
}

function readSession(value: Json): Session | null {
  const id = text(value.id);
  if (id === null) return null;
  return {
    id,
    begunAt: amount(value.begunAt) ?? 0,
    seenAt: amount(value.seenAt) ?? 0,
    endsAt: amount(value.endsAt) ?? 0,
    address: text(value.address),
    userAgent: text(value.userAgent) ?? '',
    isCurrent: value.current === true,
  };
}

/** The one that was seen last in front. */
export async function listSessions(signal?: AbortSignal): Promise<Session[]> {
  return all((await call('GET', '/owner/sessions', undefined, signal)).body.sessions, readSession);
}

/** What is over already is over. */
async function over(ends: Promise<unknown>): Promise<void> {
  try {
    await ends;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

export async function endSession(id: string): Promise<void> {
  await over(call('DELETE', `/owner/sessions/${encodeURIComponent(id)}`));
}

/** Ends all sessions but this browser's; gives how many. */
export async function endOtherSessions(): Promise<number> {
  const { body } = await call('DELETE', '/owner/sessions');
  return list(body.ended).length;
}

/** The rights of an API key, by the server's words for them. */
export const RIGHTS = [
  'join',
  'publish-camera',
  'publish-microphone',
  'publish-screen',
  'publish-screen-sound',
  'chat',
  'record',
  'list',
  'play',
  'download',
  'report',
  'share',
  'delete',
  'moderate',
  'observe',
  'manage',
] as const;
export type KeyRight = (typeof RIGHTS)[number];

/** What programs show instead of a password, without its secret. Times are milliseconds since 1970. */
export interface ApiKey {
  /** How its text begins. */
  id: string;
  name: string;
  rights: string[];
  madeAt: number;
  expiresAt: number | null;
  usedAt: number | null;
  revokedAt: number | null;
}

export interface KeyWish {
  name: string;
  rights: KeyRight[];
  /** Milliseconds since 1970; null: until it is revoked. */
  expiresAt: number | null;
}

function readKey(value: Json): ApiKey | null {
  const id = text(value.id);
  if (id === null) return null;
  return {
    id,
    name: text(value.name) ?? '',
    rights: words(value.rights),
    madeAt: amount(value.madeAt) ?? 0,
    expiresAt: amount(value.expiresAt),
    usedAt: amount(value.usedAt),
    revokedAt: amount(value.revokedAt),
  };
}

/** Those that are over too, the newest in front. */
export async function listKeys(signal?: AbortSignal): Promise<ApiKey[]> {
  return all((await call('GET', '/owner/keys', undefined, signal)).body.keys, readKey);
}

/** Makes a key; gives all of its text, which nobody is told again. */
export async function makeKey(wish: KeyWish): Promise<string> {
  const { name, rights, expiresAt } = wish;
  const { body } = await call('POST', '/owner/keys', {
    name,
    rights,
    ...(expiresAt === null ? {} : { expiresAt }),
  });
  const secret = text(body.secret);
  if (secret === null) throw new ApiError(texts.errors.unexpected, 200);
  return secret;
}

export async function revokeKey(id: string): Promise<void> {
  await over(call('DELETE', `/owner/keys/${encodeURIComponent(id)}`));
}
