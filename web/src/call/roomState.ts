/** How the recording of a room is, as everybody in it is told. Pure. */
import { type RecordingStatus, STATUSES } from '../api';

/** What the room's metadata says. */
export interface RoomState {
  /** Of the recording; null where only the tutorial's word is said. */
  id: string | null;
  status: RecordingStatus;
  /** Ms since 1970, by the server's clock; null where it is not known. */
  startedAt: number | null;
  /** While it is being finished: 0 to 1, where it is known. */
  progress: number | null;
  /** Why it failed, or what troubles it. */
  error: string | null;
}

/** The words of OpenVidu's tutorial. */
const WORDS = new Map<unknown, RecordingStatus>([
  ['STARTING', 'starting'],
  ['STARTED', 'recording'],
  ['STOPPING', 'finishing'],
  ['STOPPED', 'complete'],
  ['FAILED', 'failed'],
]);

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
const amount = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** What metadata says of a recording; null where it says nothing. Whoever may set it may write anything into it. */
export function readRoomState(metadata: string | undefined): RoomState | null {
  let said: unknown;
  try {
    said = JSON.parse(metadata ?? '');
  } catch {
    return null;
  }
  if (!isObject(said)) return null;
  const own = isObject(said.recording) ? said.recording : null;
  const status = STATUSES.find((known) => known === own?.status);
  if (own !== null && status !== undefined) {
    const progress = amount(own.progress);
    return {
      id: text(own.id),
      status,
      startedAt: amount(own.startedAt),
      progress: progress === null ? null : Math.min(1, progress),
      error: text(own.error),
    };
  }
  const word = WORDS.get(said.recordingStatus);
  return word === undefined ? null : { id: null, status: word, startedAt: null, progress: null, error: null };
}

export type Shown =
  | { at: 'nothing' }
  | { at: 'starting' }
  | { at: 'recording' }
  | { at: 'finishing'; progress: number | null };

/**
 * What people are shown. Whether they are recorded now is the media server's word, which ends with the recording; how far one is before
 * and after that is the metadata's. `active` is true a moment longer where somebody waits for the file. `state` has to be of what goes on:
 * what was said before it was recorded anew is null here.
 */
export function shownOf(active: boolean, state: RoomState | null): Shown {
  if (state?.status === 'finishing') return { at: 'finishing', progress: state.progress };
  if (active) return { at: 'recording' };
  return state?.status === 'starting' ? { at: 'starting' } : { at: 'nothing' };
}

/** What became of the recording that went on before; null while nothing did. */
export function outcomeOf(before: RoomState | null, now: RoomState | null): 'ready' | 'failed' | null {
  const wentOn = before !== null && before.status !== 'complete' && before.status !== 'failed';
  if (!wentOn || now === null || now.id !== before.id) return null;
  if (now.status === 'failed') return 'failed';
  return now.status === 'complete' ? 'ready' : null;
}

/** A recording that is listed no longer. */
export interface Gone {
  name: string;
  id: string | null;
}

/** What the server tells those in a room of a recording that is listed no longer; null where that is not what it says. */
export function readGone(data: Uint8Array): Gone | null {
  try {
    const said: unknown = JSON.parse(new TextDecoder().decode(data));
    const name = isObject(said) ? text(said.recordingName) : null;
    return isObject(said) && name !== null ? { name, id: text(said.id) } : null;
  } catch {
    return null;
  }
}

/** Whether somebody deleted it: one that goes on has another name by now, and one of which nothing came says so itself. */
export const wasDeleted = (gone: Gone, state: RoomState | null): boolean =>
  gone.id === null || gone.id !== state?.id || state?.status === 'complete';
