/** Links to one recording: what whoever shares makes of them, and what whoever opens one is shown. */
import { texts } from '../texts';
import { resolved } from './base';
import { ApiError, call } from './client';
import { fileUrl } from './paths';
import { type RecordingStatus, STATUSES } from './recordings';
import { amount, isObject, type Json, list, text } from './values';

/** A link to one recording, as whoever shares sees it. */
export interface Share {
  id: string;
  name: string;
  /** Whether the file may be kept, and not only played. */
  download: boolean;
  hasPassword: boolean;
  /** Milliseconds since 1970. */
  madeAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
  /** How often it was opened. */
  views: number;
  /** How many watch by it now. */
  watching: number;
}

/** Somebody opened a link. */
export interface ShareView {
  id: string;
  /** Milliseconds since 1970. */
  begunAt: number;
  seenAt: number;
  address: string | null;
  /** The end of the furthest part of the file that was sent, in bytes. */
  reachedBytes: number;
}

/** What a link is to be. */
export interface ShareWish {
  name: string;
  download: boolean;
  /** Null: whoever has the link may watch. */
  password: string | null;
  /** Milliseconds since 1970; null: until it is revoked. */
  expiresAt: number | null;
}

/** What a link shows whoever opened it. */
export interface Watched {
  id: string;
  /** Where it plays from. */
  file: string;
  title: string;
  startedAt: number;
  duration: number | null;
  status: RecordingStatus;
  /** While it is being finished, if some of it plays already: seconds that play. */
  playable: number | null;
  download: boolean;
  /** Bytes; null where it may not be kept. */
  size: number | null;
}

/** A link as the server tells it, or null when it is not one. */
export function readShare(value: unknown): Share | null {
  if (!isObject(value)) return null;
  const id = text(value.id);
  if (id === null) return null;
  return {
    id,
    name: text(value.name) ?? '',
    download: value.download === true,
    hasPassword: value.hasPassword === true,
    madeAt: amount(value.madeAt) ?? 0,
    expiresAt: amount(value.expiresAt),
    revokedAt: amount(value.revokedAt),
    views: amount(value.views) ?? 0,
    watching: amount(value.watching) ?? 0,
  };
}

function readView(value: unknown): ShareView | null {
  if (!isObject(value)) return null;
  const id = text(value.id);
  if (id === null) return null;
  return {
    id,
    begunAt: amount(value.begunAt) ?? 0,
    seenAt: amount(value.seenAt) ?? 0,
    address: text(value.address),
    reachedBytes: amount(value.reachedBytes) ?? 0,
  };
}

function readWatched(body: Json): Watched {
  const [id, file] = [text(body.id), text(body.file)];
  if (id === null || file === null) throw new ApiError(texts.errors.unexpected, 200);
  return {
    id,
    file: resolved(file),
    title: text(body.title) ?? '',
    startedAt: amount(body.startedAt) ?? 0,
    duration: amount(body.duration),
    status: STATUSES.find((known) => known === body.status) ?? 'complete',
    playable: amount(body.playable),
    download: body.download === true,
    size: amount(body.size),
  };
}

const sharesUrl = (name: string): string => `${fileUrl(name)}/shares`;

export async function listShares(name: string, signal?: AbortSignal): Promise<Share[]> {
  const { body } = await call('GET', sharesUrl(name), undefined, signal);
  return list(body.shares)
    .map(readShare)
    .filter((share) => share !== null);
}

/** Makes a link; what it gives is its address, which nobody is told again. */
export async function makeShare(name: string, wish: ShareWish): Promise<string> {
  const { body } = await call('POST', sharesUrl(name), {
    name: wish.name,
    download: wish.download,
    ...(wish.password === null ? {} : { password: wish.password }),
    ...(wish.expiresAt === null ? {} : { expiresAt: wish.expiresAt }),
  });
  const link = text(body.link);
  if (link === null) throw new ApiError(texts.errors.unexpected, 200);
  return new URL(resolved(link), window.location.origin).href;
}

/** Whoever watches by it is sent nothing more. */
export async function revokeShare(name: string, id: string): Promise<void> {
  await call('DELETE', `${sharesUrl(name)}/${encodeURIComponent(id)}`);
}

/** Who opened a link: the last times, the newest in front. */
export async function shareViews(name: string, id: string, signal?: AbortSignal): Promise<ShareView[]> {
  const path = `${sharesUrl(name)}/${encodeURIComponent(id)}/views`;
  const { body } = await call('GET', path, undefined, signal);
  return list(body.views)
    .map(readView)
    .filter((view) => view !== null);
}

/** Opens a link: from then on this browser may have what it shows. */
export async function openShare(secret: string, password: string | null): Promise<Watched> {
  const { body } = await call('POST', '/watch/open', {
    secret,
    ...(password === null ? {} : { password }),
  });
  return readWatched(body);
}

/** What the link shows now, as long as this browser may have it. */
export async function watchedShare(id: string): Promise<Watched> {
  const { body } = await call('GET', `/watch/${encodeURIComponent(id)}`);
  return readWatched(body);
}
