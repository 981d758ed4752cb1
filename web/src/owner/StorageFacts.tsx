import type { Overview, Storage } from '../api/owner';
import * as format from '../format';
import { texts } from '../texts';
import { roomFor } from './figures';

/** Where recordings are kept. */
function place({ kind, place, backup }: Storage): string {
  const where =
    kind === 's3' && place !== null
      ? texts.now.bucket(place)
      : kind === 's3' || kind === 'folder'
        ? texts.now.kind[kind]
        : kind;
  return backup === null ? where : `${where}, ${texts.now.backup}`;
}

/** How many recordings are kept, and how much room they take. */
function stored({ recordings, recordingsBytes }: Storage): string {
  if (recordings === null || recordingsBytes === null) return texts.now.unknown;
  return texts.now.recordingsOf(recordings, format.size(recordingsBytes));
}

/** For how long the disk lasts. */
function left({ hoursLeft, isMeasured }: Storage): string {
  if (hoursLeft === null) return texts.now.unknown;
  const time = roomFor(hoursLeft);
  return isMeasured ? texts.now.leftMeasured(time) : texts.now.leftAssumed(time);
}

/** How much room there is, and for what. */
export function StorageFacts({ overview }: { overview: Overview }) {
  const { storage, capacity, version, startedAt } = overview;
  const { disk, trouble } = storage;

  return (
    <dl className="console__facts">
      <dt>{texts.now.where}</dt>
      <dd>
        {place(storage)}
        {trouble !== null && <p className="recording__error">{trouble}</p>}
      </dd>
      <dt>{texts.now.stored}</dt>
      <dd>{stored(storage)}</dd>
      <dt>{texts.now.disk}</dt>
      <dd>
        {disk === null ? (
          texts.now.unknown
        ) : (
          <>
            {texts.now.free(format.size(disk.freeBytes), format.size(disk.totalBytes))}
            <progress
              className="recording__progress"
              value={Math.max(0, disk.totalBytes - disk.freeBytes)}
              max={Math.max(1, disk.totalBytes)}
              aria-label={texts.now.disk}
            />
          </>
        )}
      </dd>
      <dt>{texts.now.left}</dt>
      <dd>{left(storage)}</dd>
      <dt>{texts.now.capacity}</dt>
      <dd>{capacity === null ? texts.now.unknown : texts.now.couldBegin(capacity)}</dd>
      <dt>{texts.now.server}</dt>
      <dd>{startedAt === null ? version : texts.now.runs(version, format.date(startedAt))}</dd>
    </dl>
  );
}
