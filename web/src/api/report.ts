/** What a recording tells about itself. */
import { call } from './client';
import { fileUrl } from './paths';
import { amount, isObject, type Json, list, text } from './values';

/** What a recording tells about itself; docs/report.md says what the fields of the server's answer mean. */
export interface Report {
  /** Of the file; null until it is computed. */
  sha256: string | null;
  /** Frames that are missing because the server's disk could not follow. */
  droppedFrames: number;
  skipped: Skip[];
  /** Where nothing was recorded because the server was restarted; the picture stands still there. */
  suspended: Pause[];
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

/** From when to when nothing was recorded. */
export interface Pause {
  fromSeconds: number;
  toSeconds: number;
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

const seconds = (ns: unknown): number => (amount(ns) ?? 0) / 1e9;
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
    suspended: list(value.suspended)
      .filter(isObject)
      .map((pause) => ({ fromSeconds: seconds(pause.from_ns), toSeconds: seconds(pause.to_ns) })),
    tracks,
    consents: readConsents(value.consents),
  };
}

export async function recordingReport(name: string, signal?: AbortSignal): Promise<Report> {
  const { body } = await call('GET', `${fileUrl(name)}/report`, undefined, signal);
  return readReport(body);
}
