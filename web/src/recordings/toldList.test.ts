import { describe, expect, it } from 'vitest';
import { type Recording, readRecording, type Told } from '../api';
import { applyTold, type View } from './toldList';

const recording = (id: string, more: Record<string, unknown> = {}): Recording => {
  const read = readRecording({ id, name: `${id}.mp4`, roomName: 'a', status: 'complete', ...more });
  if (read === null) throw new Error('not a recording');
  return read;
};
const changed = (id: string, more: Record<string, unknown> = {}): Told => ({
  kind: 'changed',
  recording: recording(id, more),
});
const view = (more: Partial<View> = {}): View => ({
  roomName: '',
  q: '',
  sort: '-startedAt',
  hasMore: false,
  ...more,
});
const ids = (list: Recording[]) => list.map(({ id }) => id);

const shown = [
  recording('c', { startedAt: 30 }),
  recording('b', { startedAt: 20 }),
  recording('a', { startedAt: 10 }),
];
/** The ids of what is shown after something was told. */
const idsAfter = (told: Told, more: Partial<View> = {}) => ids(applyTold(shown, told, view(more)));

describe('a list that is told of changes', () => {
  it('replaces what it knows where it stands', () => {
    const told = changed('b', { startedAt: 20, status: 'finishing', progress: 0.5 });
    expect(idsAfter(told)).toEqual(['c', 'b', 'a']);
    expect(applyTold(shown, told, view())[1]).toMatchObject({ status: 'finishing', progress: 0.5 });
  });

  it('goes on to say until when it is kept, of which changes say nothing', () => {
    const kept = [recording('b', { keptUntil: 7 }), recording('a', { kept: true })];
    const [b] = applyTold(kept, changed('b', { size: 5 }), view());
    expect(b).toMatchObject({ size: 5, keptUntil: 7, kept: false });
    expect(applyTold(kept, changed('a'), view())[1]).toMatchObject({ keptUntil: null, kept: true });
  });

  it('puts what is new where it belongs', () => {
    expect(idsAfter(changed('d', { startedAt: 40 }))).toEqual(['d', 'c', 'b', 'a']);
    expect(idsAfter(changed('d', { startedAt: 15 }))).toEqual(['c', 'b', 'd', 'a']);
    // It is not known yet when it began, and then it is.
    const starting = applyTold(shown, changed('d', { status: 'starting' }), view());
    expect(ids(starting)).toEqual(['d', 'c', 'b', 'a']);
    const begun = applyTold(starting, changed('d', { startedAt: 40, status: 'recording' }), view());
    expect(ids(begun)).toEqual(['d', 'c', 'b', 'a']);
    const bySize = [recording('b', { size: 20 }), recording('a', { size: 10 })];
    const sized = applyTold(bySize, changed('c', { size: 15 }), view({ sort: '-size' }));
    expect(ids(sized)).toEqual(['b', 'c', 'a']);
  });

  it('leaves what belongs behind its end to the next page', () => {
    const old = changed('z', { startedAt: 5 });
    expect(idsAfter(old)).toEqual(['c', 'b', 'a', 'z']);
    expect(idsAfter(old, { hasMore: true })).toEqual(['c', 'b', 'a']);
  });

  it('has nothing of another room and nothing that was not searched for', () => {
    expect(idsAfter(changed('d', { roomName: 'b' }), { roomName: 'a' })).toEqual(['c', 'b', 'a']);
    expect(idsAfter(changed('b', { roomName: 'b' }), { roomName: 'a' })).toEqual(['c', 'a']);
    const fresh = changed('d', { startedAt: 40 });
    expect(idsAfter(fresh, { q: 'nothing' })).toEqual(['c', 'b', 'a']);
    expect(idsAfter(fresh, { q: 'D.MP4' })).toEqual(['d', 'c', 'b', 'a']);
    // What the server found stays, as it searches better than a page.
    expect(idsAfter(changed('b', { startedAt: 20 }), { q: 'nothing' })).toEqual(['c', 'b', 'a']);
  });

  it('forgets what is deleted by its name, and not what has another name by now', () => {
    expect(idsAfter({ kind: 'deleted', name: 'b.mp4' })).toEqual(['c', 'a']);
    const renamed = applyTold(shown, changed('b', { startedAt: 20, name: 'new.mp4' }), view());
    expect(ids(applyTold(renamed, { kind: 'deleted', name: 'b.mp4' }, view()))).toEqual(['c', 'b', 'a']);
    expect(applyTold(shown, { kind: 'reload' }, view())).toBe(shown);
  });
});
