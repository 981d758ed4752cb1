/** What the owner's page asks of the server; `api.ts` has the rest. What the server answers is checked here. */
import {
  ApiError,
  amount,
  call,
  isObject,
  type Json,
  list,
  type Recording,
  readRecording,
  text,
  words,
} from './api';
import { texts } from './texts';

/** What `read` makes of each of a list; what it makes nothing of is left out. */
function all<T>(value: unknown, read: (value: Json) => T | null): T[] {
  return list(value).flatMap((one): T[] => {
    const made = isObject(one) ? read(one) : null;
    return made === null ? [] : [made];
  });
}

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

/** Who is told of recordings by webhook. */
export interface Receiver {
  /** What it is called: the same as long as its address is. */
  id: string;
  /** Scheme and host of its address. */
  place: string;
  waiting: number;
  /** Since when the oldest waits, ms since 1970. */
  waitingSince: number | null;
  /** Given up since the program began. */
  dropped: number;
  /** Why the last try failed; null where it did not. */
  trouble: string | null;
}

export const DELIVERY_STATES = ['waiting', 'delivered', 'expired', 'dropped'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** A webhook for one receiver. Times are milliseconds since 1970. */
export interface Delivery {
  id: number;
  place: string;
  event: string;
  /** Of the recording. */
  egressId: string;
  state: DeliveryState | null;
  madeAt: number;
  settledAt: number | null;
  nextTryAt: number | null;
  tries: number;
  /** HTTP status of the last answer; null where there was none. */
  status: number | null;
  error: string | null;
}

/** What came of telling a receiver of nothing. */
export interface TestResult {
  receiver: string;
  place: string;
  status: number | null;
  /** Why it counts as not delivered; null where it is. */
  error: string | null;
  tookMs: number;
}

export interface Deliveries {
  receivers: Receiver[];
  /** Newest first. */
  deliveries: Delivery[];
}

function readReceiver(value: Json): Receiver | null {
  const id = text(value.receiver);
  if (id === null) return null;
  return {
    id,
    place: text(value.place) ?? id,
    waiting: amount(value.waiting) ?? 0,
    waitingSince: amount(value.waitingSince),
    dropped: amount(value.dropped) ?? 0,
    trouble: text(value.trouble),
  };
}

function readDelivery(value: Json): Delivery | null {
  const id = amount(value.id);
  if (id === null) return null;
  return {
    id,
    place: text(value.place) ?? '',
    event: text(value.event) ?? '',
    egressId: text(value.egressId) ?? '',
    state: DELIVERY_STATES.find((known) => known === value.state) ?? null,
    madeAt: amount(value.madeAt) ?? 0,
    settledAt: amount(value.settledAt),
    nextTryAt: amount(value.nextTryAt),
    tries: amount(value.tries) ?? 0,
    status: amount(value.status),
    error: text(value.error),
  };
}

function readTest(value: Json): TestResult | null {
  const receiver = text(value.receiver);
  if (receiver === null) return null;
  return {
    receiver,
    place: text(value.place) ?? receiver,
    status: amount(value.status),
    error: text(value.error),
    tookMs: amount(value.took) ?? 0,
  };
}

/** How receivers stand, and what they were told; null where another server tells them. */
export async function listDeliveries(limit: number, signal?: AbortSignal): Promise<Deliveries | null> {
  try {
    const { body } = await call('GET', `/webhooks/deliveries?limit=${limit}`, undefined, signal);
    return { receivers: all(body.receivers, readReceiver), deliveries: all(body.deliveries, readDelivery) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Has a receiver told once more. */
export async function replay(id: number): Promise<void> {
  await call('POST', `/webhooks/deliveries/${id}/replay`);
}

/** Tells each receiver of nothing, and gives what came of it. */
export async function testReceivers(): Promise<TestResult[]> {
  return all((await call('POST', '/webhooks/test')).body.results, readTest);
}

/** Somebody in a room. */
export interface Person {
  identity: string;
  name: string;
  /** Milliseconds since 1970. */
  joinedAt: number | null;
  /** What their token was given for, as far as it is known. */
  role: string | null;
  /** What they send. */
  publishes: string[];
  /** `person`, or another kind of participant. */
  kind: string;
}

/** A room in which somebody is. */
export interface OpenRoom {
  name: string;
  /** How many are in it, those who are not listed included. */
  count: number;
  people: Person[];
  /** Why it could not be asked who is in it. */
  trouble: string | null;
}

/** A recording that runs, is finished or waits to be stored. */
export interface Busy extends Recording {
  /** Seconds since it began, as the server counts; null where that is not told. */
  elapsed: number | null;
}

export interface Disk {
  freeBytes: number;
  totalBytes: number;
}

export interface Storage {
  /** `folder` or `s3`. */
  kind: string;
  /** The bucket. */
  place: string | null;
  /** The kind of the backup store that is set. */
  backup: string | null;
  /** Why it cannot be read. */
  trouble: string | null;
  recordings: number | null;
  recordingsBytes: number | null;
  /** Of the data folder. */
  disk: Disk | null;
  /** Whether it is known of recordings here how much they take; else it is what the default makes. */
  isMeasured: boolean;
  /** Hours of recording that the disk has room for. */
  hoursLeft: number | null;
}

/** What a setting is, and why. */
export interface Setting {
  name: string;
  value: string;
  /** `default`, `file` or `environment`. */
  from: string;
  isSecret: boolean;
}

/** How the server stands. */
export interface Overview {
  /** When it was so by the server's clock, ms since 1970. */
  at: number | null;
  version: string;
  /** Milliseconds since 1970. */
  startedAt: number | null;
  rooms: OpenRoom[];
  /** All that are open. */
  roomsCount: number;
  recordings: Busy[];
  composing: Busy[];
  storing: Busy[];
  /** All that wait to be stored. */
  storingCount: number;
  storage: Storage;
  /** How many more recordings could begin now. */
  capacity: number | null;
  /** Sentences that should be looked at. */
  troubles: string[];
  settings: Setting[];
}

function readPerson(value: Json): Person | null {
  const identity = text(value.identity);
  if (identity === null) return null;
  return {
    identity,
    name: text(value.name) ?? identity,
    joinedAt: amount(value.joinedAt),
    role: text(value.role),
    publishes: words(value.publishes),
    kind: text(value.kind) ?? 'person',
  };
}

function readOpenRoom(value: Json): OpenRoom | null {
  const name = text(value.name);
  if (name === null) return null;
  const people = all(value.people, readPerson);
  return { name, people, count: amount(value.count) ?? people.length, trouble: text(value.peopleTrouble) };
}

function readBusy(value: Json): Busy | null {
  const recording = readRecording(value);
  return recording === null ? null : { ...recording, elapsed: amount(value.elapsed) };
}

function readDisk(value: unknown): Disk | null {
  if (!isObject(value)) return null;
  const [freeBytes, totalBytes] = [amount(value.freeBytes), amount(value.totalBytes)];
  return freeBytes === null || totalBytes === null ? null : { freeBytes, totalBytes };
}

function readStorage(value: Json): Storage {
  return {
    kind: text(value.kind) ?? '',
    place: text(value.place),
    backup: text(value.backup),
    trouble: text(value.trouble),
    recordings: amount(value.recordings),
    recordingsBytes: amount(value.recordingsBytes),
    disk: readDisk(value.disk),
    isMeasured: value.isMeasured === true,
    hoursLeft: amount(value.hoursLeft),
  };
}

function readSetting(value: Json): Setting | null {
  const name = text(value.name);
  if (name === null) return null;
  return {
    name,
    value: text(value.value) ?? '',
    from: text(value.from) ?? '',
    isSecret: value.isSecret === true,
  };
}

/** How the server stands, as it tells it; what it could not find out is empty, and among the troubles. */
export function readOverview(body: Json): Overview {
  const queues = isObject(body.queues) ? body.queues : {};
  const rooms = all(body.rooms, readOpenRoom);
  const storing = all(queues.storing, readBusy);
  const troubles = [body.roomsTrouble, body.recordingsTrouble, body.recorderTrouble].map(text);
  return {
    at: amount(body.at),
    version: text(body.version) ?? '',
    startedAt: amount(body.startedAt),
    rooms,
    roomsCount: amount(body.roomsCount) ?? rooms.length,
    recordings: all(body.recordings, readBusy),
    composing: all(queues.composing, readBusy),
    storing,
    storingCount: amount(queues.storingCount) ?? storing.length,
    storage: readStorage(isObject(body.storage) ? body.storage : {}),
    capacity: amount(body.capacity),
    troubles: [...troubles.filter((trouble) => trouble !== null), ...words(body.warnings)],
    settings: all(body.settings, readSetting),
  };
}

export async function overview(signal?: AbortSignal): Promise<Overview> {
  return readOverview((await call('GET', '/overview', undefined, signal)).body);
}

/** Who did something, or what it was done to. */
export interface Named {
  kind: string;
  id: string | null;
  name: string | null;
}

/** An act on a recording or a right. */
export interface Act {
  id: number;
  /** Milliseconds since 1970. */
  at: number;
  act: string;
  hasFailed: boolean;
  who: Named | null;
  address: string | null;
  on: Named | null;
  detail: string | null;
  /** Why it failed. */
  reason: string | null;
}

/** The same thing, refused to somebody so many times. */
export interface Refusal {
  act: string;
  who: Named | null;
  address: string | null;
  on: Named | null;
  reason: string | null;
  count: number;
  /** Milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
}

export interface AuditPage {
  /** Newest first. */
  acts: Act[];
  /** Of the first page: newest first. */
  refusals: Refusal[];
  /** Where older ones begin; null where there are none. A page may have nothing in it and older ones behind it. */
  next: number | null;
  /** Acts that wait for the disk, and that found no place because it took nothing. */
  unwritten: number;
  lost: number;
  /** Why they are not written down. */
  trouble: string | null;
}

function readNamed(value: unknown): Named | null {
  if (!isObject(value)) return null;
  const kind = text(value.kind);
  return kind === null ? null : { kind, id: text(value.id), name: text(value.name) };
}

function readAct(value: Json): Act | null {
  const [id, act] = [amount(value.id), text(value.act)];
  if (id === null || act === null) return null;
  return {
    id,
    at: amount(value.at) ?? 0,
    act,
    hasFailed: value.outcome === 'failed',
    who: readNamed(value.who),
    address: text(value.address),
    on: readNamed(value.on),
    detail: text(value.detail),
    reason: text(value.reason),
  };
}

function readRefusal(value: Json): Refusal | null {
  const act = text(value.act);
  if (act === null) return null;
  return {
    act,
    who: readNamed(value.who),
    address: text(value.address),
    on: readNamed(value.on),
    reason: text(value.reason),
    count: amount(value.count) ?? 1,
    firstAt: amount(value.firstAt) ?? 0,
    lastAt: amount(value.lastAt) ?? 0,
  };
}

/** A page of the audit log as the server tells it. */
export function readAudit(body: Json): AuditPage {
  return {
    acts: all(body.entries, readAct),
    refusals: all(body.refusals, readRefusal),
    next: amount(body.next),
    unwritten: amount(body.unwritten) ?? 0,
    lost: amount(body.lost) ?? 0,
    trouble: text(body.trouble),
  };
}

/** Acts in which `q` stands, before the one of that number where there is one. */
export async function audit(q: string, before: number | null, signal?: AbortSignal): Promise<AuditPage> {
  const parameters = new URLSearchParams({ limit: '50' });
  if (q !== '') parameters.set('q', q);
  if (before !== null) parameters.set('before', String(before));
  return readAudit((await call('GET', `/audit?${parameters}`, undefined, signal)).body);
}
