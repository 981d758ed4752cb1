/** The rooms that the owner made: what is set of them, and the links by which people come. */
import { texts } from '../texts';
import { resolved } from './base';
import { ApiError, call } from './client';
import { roomUrl } from './paths';
import { amount, isObject, list, text, words } from './values';

export const ROLES = ['host', 'guest'] as const;
export type Role = (typeof ROLES)[number];

export interface RoomLink {
  role: Role;
  /** A path of this site, or a whole address; null where it cannot be shown any more. */
  path: string | null;
  /** Milliseconds since 1970; null where it lasts until it is revoked. */
  expiresAt: number | null;
}

/** A room that the owner made. */
export interface OwnRoom {
  name: string;
  /** What guests may do there besides joining. */
  guests: string[];
  /** What hosts may do there besides what every host may. */
  hosts: string[];
  /** So many people at most; null: as many as the server takes. */
  maxParticipants: number | null;
  /** Whether a host lets guests in. */
  lobby: boolean;
  links: RoomLink[];
  /** Whether people are recorded only if they agree. */
  asksConsent: boolean;
  /** How its recordings look where nothing else is asked for; null: as by default. */
  layout: Layout | null;
  /** For how many days its recordings are kept; null: until somebody deletes them. */
  keepDays: number | null;
}

/** What is to be another way in a room; what is absent stays. */
export interface RoomChange {
  guests?: string[];
  hosts?: string[];
  /** 0: as many as the server takes. */
  maxParticipants?: number;
  lobby?: boolean;
  consent?: boolean;
}

/** The first is the default. */
export const LAYOUTS = [
  'grid',
  'speaker',
  'single-speaker',
  'grid-light',
  'speaker-light',
  'single-speaker-light',
] as const;
export type Layout = (typeof LAYOUTS)[number];

/** What a time for which recordings are kept would delete. */
export interface Retention {
  /** Nothing is deleted before this, in milliseconds since 1970; null where nothing is deleted by itself. */
  deletesFrom: number | null;
  /** How many recordings would go. */
  deletes: number;
  /** The names of the first of them, the oldest in front. */
  first: string[];
}

function readRoom(value: unknown): OwnRoom | null {
  const name = isObject(value) ? text(value.name) : null;
  if (!isObject(value) || name === null) return null;
  const links = list(value.links)
    .filter(isObject)
    .flatMap((link): RoomLink[] => {
      const role = ROLES.find((known) => known === link.role);
      const path = text(link.url) ?? text(link.path);
      return role ? [{ role, path: path && resolved(path), expiresAt: amount(link.expiresAt) }] : [];
    });
  return {
    name,
    guests: words(value.guests),
    hosts: words(value.hosts),
    maxParticipants: amount(value.maxParticipants),
    lobby: value.lobby === true,
    asksConsent: value.consent === true,
    layout: LAYOUTS.find((known) => known === value.layout) ?? null,
    keepDays: amount(value.keepDays),
    links,
  };
}

function told(value: unknown): OwnRoom {
  const room = readRoom(value);
  if (room === null) throw new ApiError(texts.errors.unexpected, 200);
  return room;
}

export async function listRooms(): Promise<OwnRoom[]> {
  const { body } = await call('GET', '/rooms');
  return list(body.rooms)
    .map(readRoom)
    .filter((room) => room !== null);
}

export async function makeRoom(name: string): Promise<OwnRoom> {
  return told((await call('POST', '/rooms', { name })).body);
}

export async function changeRoom(name: string, change: RoomChange): Promise<OwnRoom> {
  return told((await call('PATCH', roomUrl(name), { ...change })).body);
}

/** `expiresAt`: ms since 1970; null: it lasts until it is revoked. */
export async function renewLink(name: string, role: Role, expiresAt: number | null): Promise<OwnRoom> {
  const wish = expiresAt === null ? {} : { expiresAt };
  return told((await call('POST', `${roomUrl(name)}/links/${role}`, wish)).body);
}

export async function revokeLink(name: string, role: Role): Promise<OwnRoom> {
  return told((await call('DELETE', `${roomUrl(name)}/links/${role}`)).body);
}

export async function setLayout(name: string, layout: Layout | null): Promise<OwnRoom> {
  return told((await call('PATCH', roomUrl(name), { layout: layout ?? '' })).body);
}

/** Null: until somebody deletes them. */
export async function setKeepDays(name: string, days: number | null): Promise<OwnRoom> {
  return told((await call('PATCH', roomUrl(name), { keepDays: days ?? 0 })).body);
}

/** What is deleted if recordings are kept for so many days. Nothing is changed by asking. */
export async function retentionOf(name: string, days: number, signal?: AbortSignal): Promise<Retention> {
  const path = `${roomUrl(name)}/retention?keepDays=${days}`;
  const { body } = await call('GET', path, undefined, signal);
  return {
    deletesFrom: amount(body.deletesFrom),
    deletes: amount(body.deletes) ?? 0,
    first: list(body.first)
      .filter(isObject)
      .map(({ name }) => text(name))
      .filter((name) => name !== null),
  };
}

export async function deleteRoom(name: string): Promise<void> {
  await call('DELETE', roomUrl(name));
}
