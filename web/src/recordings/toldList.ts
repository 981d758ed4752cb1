/** What becomes of a list when something in it changes. Pure. */
import { isUnfinished, type Recording, type Sort, type Told } from '../api';

/** Which list. */
export interface View {
  /** Empty: of all rooms. */
  roomName: string;
  /** Empty: all. */
  q: string;
  sort: Sort;
  /** Whether there is more behind what is shown. */
  hasMore: boolean;
}

/** A recording that begins is newer than all others, also while it is not known when it began. */
const startedAt = (recording: Recording): number =>
  recording.startedAt === 0 && isUnfinished(recording) ? Number.POSITIVE_INFINITY : recording.startedAt;

const order = <T>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

/** Below 0: `a` stands before `b`. */
function compare(a: Recording, b: Recording, sort: Sort): number {
  switch (sort) {
    case 'startedAt':
      return order(startedAt(a), startedAt(b));
    case '-startedAt':
      return order(startedAt(b), startedAt(a));
    case '-duration':
      return order(b.duration ?? -1, a.duration ?? -1);
    case '-size':
      return order(b.size ?? -1, a.size ?? -1);
    case 'roomName':
      return order(a.roomName.toLowerCase(), b.roomName.toLowerCase());
  }
}

function isFound({ roomName, name }: Recording, q: string): boolean {
  const wanted = q.toLowerCase();
  return roomName.toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted);
}

/** What becomes of a recording by itself the list alone says: who is told of a change is not told that nothing does any more. */
const withFate = (recording: Recording, { keptUntil, kept }: Recording): Recording => ({
  ...recording,
  keptUntil,
  kept,
});

/** What is shown after something was told. What the server has found itself stays, whatever was searched for. */
export function applyTold(shown: Recording[], told: Told, view: View): Recording[] {
  if (told.kind === 'reload') return shown;
  if (told.kind === 'deleted') return shown.filter(({ name }) => name !== told.name);
  const known = shown.find(({ id }) => id === told.recording.id);
  const recording = known ? withFate(told.recording, known) : told.recording;
  const others = known ? shown.filter((other) => other !== known) : shown;
  if (view.roomName !== '' && recording.roomName !== view.roomName) return others;
  if (known && compare(known, recording, view.sort) === 0) {
    return shown.map((other) => (other === known ? recording : other));
  }
  if (!known && !isFound(recording, view.q)) return shown;
  const place = others.findIndex((other) => compare(recording, other, view.sort) < 0);
  // What stands behind the last that is shown comes with the next page.
  if (place < 0) return known || !view.hasMore ? [...others, recording] : shown;
  return [...others.slice(0, place), recording, ...others.slice(place)];
}
