/** How the server stands. */
import { call } from '../client';
import { type Recording, readRecording } from '../recordings';
import { all, amount, isObject, type Json, text, words } from '../values';

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
  /** What it is from the next start on, where that is something else. */
  next: string | null;
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
    next: text(value.next),
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
