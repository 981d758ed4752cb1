import { expect, it } from 'vitest';
import { type Recording, readRecording } from '../api';
import { merge } from './useLibrary';

const recording = (id: string, status = 'complete'): Recording => {
  const read = readRecording({ id, name: `${id}.mp4`, status });
  if (read === null) throw new Error('not a recording');
  return read;
};

it('replaces what it knows where it stands and puts new ones first', () => {
  const shown = [recording('b', 'finishing'), recording('a')];
  const merged = merge(shown, [recording('c'), recording('b')], '-startedAt');
  expect(merged.map(({ id, status }) => `${id} ${status}`)).toEqual([
    'c complete',
    'b complete',
    'a complete',
  ]);
  expect(merge(shown, [recording('c')], 'roomName').map(({ id }) => id)).toEqual(['b', 'a']);
});
