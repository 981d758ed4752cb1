/** Recordings: how they are listed, played, kept and deleted, and how one is begun in a room. */
import { texts } from '../texts';
import { address, resolved } from './base';
import { ApiError, call, clockOffset } from './client';
import { fileUrl } from './paths';
import { isByLink } from './proof';
import { amount, isObject, text } from './values';

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

export const isUnfinished = (recording: Recording): boolean =>
  recording.status !== 'complete' && recording.status !== 'failed';

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
    clockOffset: clockOffset(),
  };
}

/** Of the file to keep: a download that was interrupted goes on to its end, where a player gets portions. */
export const downloadUrl = (name: string): string => address(`${fileUrl(name)}?download`);

/** Of the file, for whoever may have it anyway. */
export const plainUrl = (name: string): string => address(fileUrl(name));

/** Where a browser plays it from: this server or the object store, as the server is set up. */
export async function playbackUrl(name: string): Promise<string> {
  // A link to pass on would outlive the one by which this page came.
  const { body } = await call('GET', `${fileUrl(name)}/${isByLink() ? 'pass' : 'url'}`);
  // The path leads to the server by whatever address it was opened by.
  return resolved(text(body.recordingPath) ?? text(body.recordingUrl) ?? fileUrl(name));
}

/** Starts the download of a recording for whoever came by a link: the browser shows that with nothing that it asks for by itself. */
export async function downloadByLink(name: string): Promise<void> {
  window.location.assign(`${await playbackUrl(name)}&download`);
}

export async function deleteRecording(name: string): Promise<void> {
  await call('DELETE', fileUrl(name));
}

/** Keeps it for good although its room keeps recordings for a time, or takes that back. */
export async function keepRecording(name: string, keep: boolean): Promise<void> {
  await call('POST', `${fileUrl(name)}/keep`, { keep });
}

/** Has a recording that waits to be stored tried again at once. */
export async function retryUpload(name: string): Promise<void> {
  await call('POST', `${fileUrl(name)}/retry`);
}
