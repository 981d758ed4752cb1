import { describe, expect, it } from 'vitest';
import { readRecording } from '../api';
import { interruptionIn, type Known } from './interruption';

const recording = (id: string, more: Record<string, unknown> = {}) => {
  const read = readRecording({ id, name: `${id}.mp4`, startedAt: 1000, roomId: 'RM_1', ...more });
  if (read === null) throw new Error('no recording');
  return read;
};

const recovered = recording('EG_1', { status: 'complete', recovered: true, lostSeconds: 0.2, duration: 60 });
const known = (more: Partial<Known>): Known => ({
  recordings: [recovered],
  clockOffset: 0,
  loss: null,
  answered: new Set(),
  now: 100_000,
  ...more,
});

describe('whether to record again', () => {
  it('is asked of everybody where the server died over the newest recording', () => {
    expect(interruptionIn(known({}))).toEqual({ id: 'EG_1', endedAt: 61_000 });
    expect(interruptionIn(known({ clockOffset: -500 }))?.endedAt).toBe(61_500);
    expect(interruptionIn(known({ recordings: null }))).toBeNull();
    expect(interruptionIn(known({ recordings: [recording('EG_1', { duration: 60 })] }))).toBeNull();
  });

  it('is asked at once by a page that lost the session of the room', () => {
    const finishing = [recording('EG_1', { status: 'finishing' })];
    const loss = { roomId: 'RM_1', at: 7 };
    expect(interruptionIn(known({ recordings: finishing, loss }))).toEqual({ id: 'EG_1', endedAt: 7 });
    expect(interruptionIn(known({ recordings: finishing, loss: { ...loss, roomId: 'RM_0' } }))).toBeNull();
  });

  it('is not asked again once somebody answered, recorded anew, or much later', () => {
    expect(interruptionIn(known({ answered: new Set(['EG_1']) }))).toBeNull();
    expect(interruptionIn(known({ recordings: [recording('EG_2'), recovered] }))).toBeNull();
    expect(interruptionIn(known({ now: 61_000 + 31 * 60_000 }))).toBeNull();
  });
});
