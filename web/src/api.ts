/** Every call to the server, in one place. What it answers is checked here and nowhere else. */
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
  /** Milliseconds since 1970. */
  startedAt: number;
  /** Seconds; unknown for some recordings made elsewhere. */
  duration: number | null;
  /** Bytes. */
  size: number | null;
  status: RecordingStatus;
  /** While finishing: 0 to 1. */
  progress: number | null;
  /** Why it failed, or what troubles it. */
  error: string | null;
  /** While it waits to be stored: it plays all the same, and cannot be deleted yet. */
  upload: Upload | null;
  /** It stands in the backup store until the first one takes it. */
  inBackup: boolean;
  /** Seconds that a crash may have cost at its end; null when nothing happened. */
  lostSeconds: number | null;
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

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const amount = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;

async function call(
  method: string,
  path: string,
  body?: Json,
  signal?: AbortSignal,
): Promise<{ body: Json; headers: Headers }> {
  let response: Response;
  let answer: unknown = null;
  try {
    response = await fetch(path, {
      method,
      ...(signal ? { signal } : {}),
      ...(body ? { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {}),
    });
    answer = await response.json().catch(() => null);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(texts.errors.network, 0);
  }
  if (!response.ok) {
    const message = isObject(answer) ? text(answer.errorMessage) : null;
    throw new ApiError(message ?? texts.errors.unexpected, response.status);
  }
  if (!isObject(answer)) throw new ApiError(texts.errors.unexpected, response.status);
  return { body: answer, headers: response.headers };
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
    startedAt: amount(value.startedAt) ?? 0,
    duration: amount(value.duration),
    size: amount(value.size),
    status,
    progress: progress === null ? null : Math.min(1, progress),
    error: text(value.error),
    upload: readUpload(value.upload),
    inBackup: value.inBackup === true,
    lostSeconds: value.recovered === true ? (amount(value.lostSeconds) ?? 0) : null,
  };
}

export const isUnfinished = (recording: Recording): boolean =>
  recording.status !== 'complete' && recording.status !== 'failed';

/** Whether it will look different in a moment without anybody doing anything. */
export const isChanging = (recording: Recording): boolean =>
  isUnfinished(recording) || recording.upload !== null;

export async function requestToken(roomName: string, participantName: string): Promise<string> {
  const { body } = await call('POST', '/token', { roomName, participantName });
  const token = text(body.token);
  if (token === null) throw new ApiError(texts.errors.unexpected, 200);
  return token;
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
  const { body, headers } = await call(
    'GET',
    search ? `/recordings?${search}` : '/recordings',
    undefined,
    signal,
  );
  if (!Array.isArray(body.recordings)) throw new ApiError(texts.errors.unexpected, 200);
  const date = Date.parse(headers.get('Date') ?? '');
  return {
    recordings: body.recordings.map(readRecording).filter((recording) => recording !== null),
    nextCursor: text(body.nextCursor),
    // The header counts whole seconds: less than two is no difference worth showing.
    clockOffset: Number.isNaN(date) || Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now(),
  };
}

export const fileUrl = (name: string): string => `/recordings/${encodeURIComponent(name)}`;

/** Where a browser plays it from: this server or the object store, as the server is set up. */
export async function playbackUrl(name: string): Promise<string> {
  const { body } = await call('GET', `${fileUrl(name)}/url`);
  return text(body.recordingUrl) ?? fileUrl(name);
}

export async function deleteRecording(name: string): Promise<void> {
  await call('DELETE', fileUrl(name));
}

/** Has a recording that waits to be stored tried again at once. */
export async function retryUpload(name: string): Promise<void> {
  await call('POST', `${fileUrl(name)}/retry`);
}

/** What to tell a person about anything thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error && error.message !== '' ? error.message : texts.errors.unexpected;
