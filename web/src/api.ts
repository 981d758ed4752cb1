/**
 * Every call to the server, in one place; those of the owner's page stand beside it in `ownerApi.ts`. What the server answers is
 * checked there and nowhere else.
 */
import { texts } from './texts';

export const STATUSES = ['starting', 'recording', 'finishing', 'complete', 'failed'] as const;
export type RecordingStatus = (typeof STATUSES)[number];

export const SORTS = ['-startedAt', 'startedAt', '-duration', '-size', 'roomName'] as const;
export type Sort = (typeof SORTS)[number];

export interface Recording {
  id: string;
  /** The file's name: what the other calls take. */
  name: string;
  roomName: string;
  /** Of the session of the room; null where unknown. */
  roomId: string | null;
  /** Milliseconds since 1970. */
  startedAt: number;
  /** Seconds; unknown for some recordings made elsewhere. */
  duration: number | null;
  /** Bytes. */
  size: number | null;
  status: RecordingStatus;
  /** While finishing: 0 to 1. */
  progress: number | null;
  /** While finishing, if some of it plays already: seconds that play, and seconds that it will have. */
  playable: number | null;
  total: number | null;
  /** Why it failed, or what troubles it. */
  error: string | null;
  /** While it waits to be stored: it plays all the same, and cannot be deleted yet. */
  upload: Upload | null;
  /** It stands in the backup store until the first one takes it. */
  inBackup: boolean;
  /** Seconds that a crash may have cost at its end; null when nothing happened. */
  lostSeconds: number | null;
  /** It is deleted by itself some time after this, in milliseconds since 1970; null: it is not. */
  keptUntil: number | null;
  /** Somebody said that it is kept for good. */
  kept: boolean;
}

export const UPLOAD_STATES = ['waiting', 'uploading', 'verifying'] as const;

export interface Upload {
  state: (typeof UPLOAD_STATES)[number];
  /** 0 to 1, of being uploaded and again of being verified. */
  progress: number;
  attempts: number;
  lastError: string | null;
  /** While it waits: milliseconds since 1970, by the server's clock. */
  nextTryAt: number | null;
}

/** What a recording tells about itself; docs/report.md says what the fields of the server's answer mean. */
export interface Report {
  /** Of the file; null until it is computed. */
  sha256: string | null;
  /** Frames that are missing because the server's disk could not follow. */
  droppedFrames: number;
  skipped: Skip[];
  /** By person, then camera, microphone, screen; null for a recording made elsewhere, which tells nothing of them. */
  tracks: TrackReport[] | null;
  /** What everybody said to being recorded; empty where the room did not ask. */
  consents: ConsentReport[];
}

export interface ConsentReport {
  identity: string;
  /** Name, or identity where there is none. */
  who: string;
  /** What they said last; null where they said nothing. */
  agrees: boolean | null;
  /** Milliseconds since 1970, each the last one of its kind. */
  agreedAt: number | null;
  declinedAt: number | null;
  withdrawnAt: number | null;
}

/** A damaged place that is left out. */
export interface Skip {
  /** Null: all of the picture stands still and is silent. */
  participant: string | null;
  fromSeconds: number;
  toSeconds: number;
  why: string | null;
}

export const SOURCES = ['camera', 'microphone', 'screen_share', 'screen_share_audio'] as const;

/** How often, and how long together. */
export interface Spans {
  count: number;
  seconds: number;
}

/** What of a track is not in the file although it arrived. */
export interface LeftOut {
  why: (typeof REASONS)[number] | null;
  fromSeconds: number;
  toSeconds: number;
}

export interface TrackReport {
  id: string;
  /** Name, or identity where there is none. */
  whose: string;
  source: (typeof SOURCES)[number] | null;
  codecs: string[];
  /** The last size of its picture. */
  size: { width: number; height: number } | null;
  fromSeconds: number;
  toSeconds: number;
  leftOut: LeftOut | null;
  frames: number;
  gaps: Spans;
  lostPackets: number;
  droppedFrames: number;
  freezes: Spans;
  /** Sound that was made up for lost packets. */
  concealedSeconds: number;
  /** Frames that no decoder could read. */
  broken: number;
  /** Frames that arrived whole and have no place in the file: they came too late, or without what they build on. */
  misplaced: number;
  /** Packets that arrived and could not be used without what was lost. */
  unusablePackets: number;
  /** How far its picture was from its sound where that was worst, in ms. */
  worstOffsetMs: number | null;
  driftPpm: number | null;
}

export interface RecordingPage {
  recordings: Recording[];
  nextCursor: string | null;
  /** The server's clock minus ours, in ms. */
  clockOffset: number;
}

export interface ListQuery {
  roomName?: string;
  q?: string;
  sort?: Sort;
  limit?: number;
  cursor?: string;
}

/** The server said no, or could not be reached; `message` is fit to be shown. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status, 0 when there was no answer. */
    readonly status: number,
  ) {
    super(message);
  }
}

export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
export const text = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value : null;
export const amount = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;

/**
 * What proves to the server that this page asks, and not another one that has the browser show its cookie; null while nobody
 * is signed in.
 */
let csrf: string | null = null;
const sessionListeners = new Set<(signedIn: boolean) => void>();

/** Calls `listener` when somebody has signed in, and when the server does not know who asks; gives what ends that. */
export function onSession(listener: (signedIn: boolean) => void): () => void {
  sessionListeners.add(listener);
  return () => sessionListeners.delete(listener);
}

function tellSession(signedIn: boolean): void {
  for (const listener of sessionListeners) listener(signedIn);
}

/** The secret of the link by which this page came into a room; null where it came by none. It is shown with each request, and kept nowhere. */
let link: string | null = null;
/** What the link grants. */
let granted: readonly string[] = [];

/** Whether it is worth offering: whoever came by a link may do what that grants, and the server decides in any case. */
export const may = (right: string): boolean => link === null || granted.includes(right);

/** The server's clock minus ours, in ms, as it said last. */
let offset = 0;
export const clockOffset = (): number => offset;

function learnClock(headers: Headers): void {
  const ahead = Date.parse(headers.get('Date') ?? '') - Date.now();
  // The header counts whole seconds: less than two is no difference worth showing.
  if (!Number.isNaN(ahead)) offset = Math.abs(ahead) < 2000 ? 0 : ahead;
}

/** Where a 401 speaks of what was typed, and not of who asks; or of somebody who is leaving. */
const SIGN_INS = ['POST /owner/session', 'DELETE /owner/session', 'POST /owner/password', 'POST /watch/open'];

async function send(
  method: string,
  path: string,
  body?: Json,
  signal?: AbortSignal,
  shown?: Record<string, string>,
): Promise<{ response: Response; answer: unknown }> {
  const headers: Record<string, string> = { ...shown };
  if (body) headers['Content-Type'] = 'application/json';
  if (csrf !== null && method !== 'GET') headers['X-CSRF-Token'] = csrf;
  if (link !== null) headers['X-Reelroom-Link'] = link;
  try {
    const response = await fetch(path, {
      method,
      headers,
      ...(signal ? { signal } : {}),
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    learnClock(response.headers);
    return { response, answer: await response.json().catch(() => null) };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(texts.errors.network, 0);
  }
}

export async function call(
  method: string,
  path: string,
  body?: Json,
  signal?: AbortSignal,
  shown?: Record<string, string>,
): Promise<{ body: Json }> {
  const said = csrf;
  let { response, answer } = await send(method, path, body, signal, shown);
  if (response.status === 403 && method !== 'GET' && link === null) {
    // Somebody signed out and in again in another tab: this one proves itself by what went with the session before.
    await isSignedIn();
    if (csrf !== null && csrf !== said) {
      ({ response, answer } = await send(method, path, body, signal, shown));
    }
  }
  if (response.status === 401 && !SIGN_INS.includes(`${method} ${path}`)) {
    csrf = null;
    tellSession(false);
  }
  if (!response.ok) {
    const message = isObject(answer) ? text(answer.errorMessage) : null;
    throw new ApiError(message ?? texts.errors.unexpected, response.status);
  }
  if (!isObject(answer)) throw new ApiError(texts.errors.unexpected, response.status);
  return { body: answer };
}

function readUpload(value: unknown): Upload | null {
  if (!isObject(value)) return null;
  return {
    state: UPLOAD_STATES.find((known) => known === value.state) ?? 'waiting',
    progress: Math.min(1, amount(value.progress) ?? 0),
    attempts: amount(value.attempts) ?? 0,
    lastError: text(value.lastError),
    nextTryAt: amount(value.nextTryAt),
  };
}

/** A recording as the server tells it, or null when it is not one. */
export function readRecording(value: unknown): Recording | null {
  if (!isObject(value)) return null;
  const name = text(value.name);
  const id = text(value.id) ?? name;
  if (id === null) return null;
  const status = STATUSES.find((known) => known === value.status) ?? 'complete';
  const progress = amount(value.progress);
  return {
    id,
    name: name ?? id,
    roomName: text(value.roomName) ?? '',
    roomId: text(value.roomId),
    startedAt: amount(value.startedAt) ?? 0,
    duration: amount(value.duration),
    size: amount(value.size),
    status,
    progress: progress === null ? null : Math.min(1, progress),
    playable: amount(value.playable),
    total: amount(value.total),
    error: text(value.error),
    upload: readUpload(value.upload),
    inBackup: value.inBackup === true,
    lostSeconds: value.recovered === true ? (amount(value.lostSeconds) ?? 0) : null,
    keptUntil: amount(value.keptUntil),
    kept: value.kept === true,
  };
}

const seconds = (ns: unknown): number => (amount(ns) ?? 0) / 1e9;
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
/** Those of a list that are texts. */
export const words = (value: unknown): string[] =>
  list(value)
    .map(text)
    .filter((word) => word !== null);
const spans = (value: unknown): Spans =>
  isObject(value)
    ? { count: amount(value.count) ?? 0, seconds: seconds(value.total_ns) }
    : { count: 0, seconds: 0 };

const REASONS = ['encrypted', 'unreadable', 'not_agreed', 'declined'] as const;
/** Why packets that arrived made no whole frame. */
const UNUSABLE = ['incomplete', 'straggler', 'time_line', 'other'] as const;
/** Of why frames are not in the file, what is told nowhere else and is no wish of the recording itself. */
const MISPLACED = ['late', 'ahead', 'overlap', 'before_keyframe', 'time_line', 'other'] as const;

function readLeftOut(value: unknown): LeftOut | null {
  if (!isObject(value)) return null;
  return {
    why: REASONS.find((known) => known === value.why) ?? null,
    fromSeconds: seconds(value.from_ns),
    toSeconds: seconds(value.to_ns),
  };
}

function readConsents(value: unknown): ConsentReport[] {
  const ms = (ns: unknown) => {
    const at = amount(ns);
    return at === null ? null : at / 1e6;
  };
  const told = list(value)
    .filter(isObject)
    .map((one) => ({
      identity: text(one.identity) ?? '',
      who: text(one.name) ?? text(one.identity) ?? '',
      agrees: one.answer === 'agreed' ? true : one.answer === 'declined' ? false : null,
      agreedAt: ms(one.agreed_at),
      declinedAt: ms(one.declined_at),
      withdrawnAt: ms(one.withdrawn_at),
    }));
  return told.sort((a, b) => a.who.localeCompare(b.who));
}

const sum = (amounts: Json, reasons: readonly string[]): number =>
  reasons.reduce((all, why) => all + (amount(amounts[why]) ?? 0), 0);

function readTrack(id: string, track: Json): TrackReport {
  const sizes = isObject(track.sizes) ? list(track.sizes.first).filter(isObject) : [];
  const [width, height] = [amount(sizes.at(-1)?.width), amount(sizes.at(-1)?.height)];
  const sync = isObject(track.sync) ? track.sync : {};
  const dropped = isObject(track.dropped) ? track.dropped : {};
  const packets = isObject(track.packets) && isObject(track.packets.dropped) ? track.packets.dropped : {};
  const gaps = spans(track.gaps);
  // A recording that begins in a call waits for its first keyframe; what waits for one later does so behind a gap.
  const unusable = gaps.count > 0 ? [...UNUSABLE, 'before_keyframe'] : UNUSABLE;
  const offsetNs = amount(sync.worst_offset_ns);
  return {
    id,
    whose: text(track.name) ?? text(track.identity) ?? id,
    source: SOURCES.find((known) => known === track.source) ?? null,
    codecs: list(track.codecs)
      .map(text)
      .filter((codec) => codec !== null),
    size: width && height ? { width, height } : null,
    fromSeconds: seconds(track.from_ns),
    toSeconds: seconds(track.to_ns),
    leftOut: readLeftOut(track.left_out),
    frames: amount(track.frames) ?? 0,
    gaps,
    lostPackets: amount(track.lost_packets) ?? 0,
    droppedFrames: amount(track.dropped_frames) ?? 0,
    freezes: spans(track.freezes),
    concealedSeconds: (amount(track.concealed_samples) ?? 0) / 48_000,
    broken: amount(track.broken) ?? 0,
    misplaced: sum(dropped, MISPLACED),
    unusablePackets: sum(packets, unusable),
    worstOffsetMs: offsetNs === null ? null : offsetNs / 1e6,
    driftPpm: typeof sync.drift_ppm === 'number' ? sync.drift_ppm : null,
  };
}

/** A report as the server tells it; what is not there happened to nobody. */
export function readReport(value: Json): Report {
  const told = isObject(value.tracks) ? Object.entries(value.tracks) : null;
  const tracks = told?.flatMap(([id, track]) => (isObject(track) ? [readTrack(id, track)] : [])) ?? null;
  const order = (track: TrackReport) =>
    track.source === null ? SOURCES.length : SOURCES.indexOf(track.source);
  tracks?.sort(
    (a, b) => a.whose.localeCompare(b.whose) || order(a) - order(b) || a.fromSeconds - b.fromSeconds,
  );
  return {
    sha256: text(value.sha256),
    droppedFrames: amount(value.dropped_frames) ?? 0,
    skipped: list(value.skipped)
      .filter(isObject)
      .map((skip) => ({
        participant: text(skip.participant),
        fromSeconds: seconds(skip.from_ns),
        toSeconds: seconds(skip.to_ns),
        why: text(skip.why),
      })),
    tracks,
    consents: readConsents(value.consents),
  };
}

export const isUnfinished = (recording: Recording): boolean =>
  recording.status !== 'complete' && recording.status !== 'failed';

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

export type AccessMode = 'open' | 'invite';

/** Whether whoever reaches the server may use it, or only who signs in. */
export async function accessMode(): Promise<AccessMode> {
  const { body } = await call('GET', '/settings.json');
  return body.access === 'invite' ? 'invite' : 'open';
}

function learnSession(body: Json): boolean {
  csrf = body.signedIn === true ? text(body.csrf) : null;
  return csrf !== null;
}

/** Whether this browser is signed in. What proves that this page asks is learned with it. */
export async function isSignedIn(): Promise<boolean> {
  const { body } = await call('GET', '/owner/session');
  return learnSession(body);
}

/** The host of the OpenID provider at which the owner may sign in; null: by password alone. */
export async function providerHost(): Promise<string | null> {
  const { body } = await call('GET', '/settings.json');
  return text(body.oidcHost);
}

/** Takes up the session that this browser has: it was begun in another tab, or where nobody has to sign in. */
export async function resumeSession(): Promise<void> {
  if (await isSignedIn()) tellSession(true);
}

export async function signIn(password: string): Promise<void> {
  const { body } = await call('POST', '/owner/session', { password });
  tellSession(learnSession(body));
}

/** By the link that the server printed. Whoever does so is signed in. */
export async function setPassword(link: string, password: string): Promise<void> {
  const { body } = await call('POST', '/owner/password', { link, password });
  tellSession(learnSession(body));
}

/** All other sessions end. Whoever does so stays signed in. */
export async function changePassword(old: string, password: string): Promise<void> {
  const { body } = await call('PUT', '/owner/password', { old, new: password });
  learnSession(body);
}

/** Whoever is signed out already is so too. */
export async function signOut(): Promise<void> {
  try {
    await call('DELETE', '/owner/session');
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
  }
  csrf = null;
}

/** Where the media server is: this server, unless it names another. */
export async function mediaServerUrl(): Promise<string> {
  try {
    const { body } = await call('GET', '/settings.json');
    return text(body.livekitUrl) ?? window.location.origin;
  } catch {
    return window.location.origin;
  }
}

export async function startRecording(roomName: string): Promise<void> {
  await call('POST', '/recordings/start', { roomName });
}

export async function stopRecording(roomName: string): Promise<void> {
  await call('POST', '/recordings/stop', { roomName });
}

export async function listRecordings(query: ListQuery, signal?: AbortSignal): Promise<RecordingPage> {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(key, String(value));
  }
  const search = parameters.toString();
  const { body } = await call('GET', search ? `/recordings?${search}` : '/recordings', undefined, signal);
  if (!Array.isArray(body.recordings)) throw new ApiError(texts.errors.unexpected, 200);
  return {
    recordings: body.recordings.map(readRecording).filter((recording) => recording !== null),
    nextCursor: text(body.nextCursor),
    clockOffset: offset,
  };
}

export const fileUrl = (name: string): string => `/recordings/${encodeURIComponent(name)}`;

/** Of the file to keep: a download that was interrupted goes on to its end, where a player gets portions. */
export const downloadUrl = (name: string): string => `${fileUrl(name)}?download`;

/** Where a browser plays it from: this server or the object store, as the server is set up. */
export async function playbackUrl(name: string): Promise<string> {
  // A link to pass on would outlive the one by which this page came.
  const { body } = await call('GET', `${fileUrl(name)}/${link === null ? 'url' : 'pass'}`);
  return text(body.recordingUrl) ?? fileUrl(name);
}

/** Starts the download of a recording for whoever came by a link: the browser shows that with nothing that it asks for by itself. */
export async function downloadByLink(name: string): Promise<void> {
  window.location.assign(`${await playbackUrl(name)}&download`);
}

/** Whether a download has to be started by `downloadByLink`. */
export const isByLink = (): boolean => link !== null;

export interface Invitation {
  roomName: string;
  role: 'host' | 'guest';
  /** Whether a host lets guests in. */
  lobby: boolean;
  /** Whether the room records only those who agree. */
  asksConsent: boolean;
}

/** Comes by a link from now on. */
export async function openLink(secret: string): Promise<Invitation> {
  link = secret;
  granted = [];
  const { body } = await call('GET', '/link');
  const roomName = text(body.roomName);
  if (roomName === null) throw new ApiError(texts.errors.unexpected, 200);
  granted = list(body.rights)
    .map(text)
    .filter((right) => right !== null);
  return {
    roomName,
    role: body.role === 'host' ? 'host' : 'guest',
    lobby: body.lobby === true,
    asksConsent: body.consent === true,
  };
}

export const ROLES = ['host', 'guest'] as const;
export type Role = (typeof ROLES)[number];

export interface RoomLink {
  role: Role;
  /** Behind this server's address; null where it cannot be shown any more. */
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
      return role ? [{ role, path: text(link.path), expiresAt: amount(link.expiresAt) }] : [];
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

const roomUrl = (name: string): string => `/rooms/${encodeURIComponent(name)}`;

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

export async function deleteRecording(name: string): Promise<void> {
  await call('DELETE', fileUrl(name));
}

/** Keeps it for good although its room keeps recordings for a time, or takes that back. */
export async function keepRecording(name: string, keep: boolean): Promise<void> {
  await call('POST', `${fileUrl(name)}/keep`, { keep });
}

export async function recordingReport(name: string, signal?: AbortSignal): Promise<Report> {
  const { body } = await call('GET', `${fileUrl(name)}/report`, undefined, signal);
  return readReport(body);
}

/** Has a recording that waits to be stored tried again at once. */
export async function retryUpload(name: string): Promise<void> {
  await call('POST', `${fileUrl(name)}/retry`);
}

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
    file,
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
  return new URL(link, window.location.origin).href;
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
export const runsRooms = (): boolean => may('moderate') && (link !== null || csrf !== null);

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

/** What whoever follows is told. */
export type Told =
  /** What changed is not known: the list has to be read. */
  | { kind: 'reload' }
  | { kind: 'changed'; recording: Recording }
  /** It is listed no longer, or no longer under this name. */
  | { kind: 'deleted'; name: string };

/** An event as the server tells it; null for one that says nothing of recordings. */
export function readTold(kind: string, data: string): Told | null {
  if (kind === 'reload') return { kind };
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (kind === 'recording.changed') {
    const recording = readRecording(value);
    return recording && { kind: 'changed', recording };
  }
  const name = kind === 'recording.deleted' && isObject(value) ? text(value.name) : null;
  return name === null ? null : { kind: 'deleted', name };
}

/** A stream of what happens to recordings, after the event `lastId`. */
export async function openEvents(
  lastId: string | null,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const headers: Record<string, string> = { Accept: 'text/event-stream' };
  if (link !== null) headers['X-Reelroom-Link'] = link;
  if (lastId !== null) headers['Last-Event-ID'] = lastId;
  let response: Response;
  try {
    response = await fetch('/events', { headers, signal, cache: 'no-store' });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(texts.errors.network, 0);
  }
  if (response.ok && response.body !== null) return response.body;
  if (response.status === 401) {
    csrf = null;
    tellSession(false);
  }
  const answer: unknown = await response.json().catch(() => null);
  const message = isObject(answer) ? text(answer.errorMessage) : null;
  throw new ApiError(message ?? texts.errors.unexpected, response.status);
}

/** What to tell a person about anything thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error && error.message !== '' ? error.message : texts.errors.unexpected;
