import { describe, expect, it } from 'vitest';
import { readPeople, toggled } from './settings';

describe('what is set of a room', () => {
  it('is granted and taken away one by one', () => {
    expect(toggled(['chat'], 'record', true)).toEqual(['chat', 'record']);
    expect(toggled(['chat', 'record'], 'chat', false)).toEqual(['record']);
    expect(toggled(['chat'], 'chat', true)).toEqual(['chat']);
    expect(toggled([], 'chat', false)).toEqual([]);
  });

  it('is a number of people, or nothing', () => {
    expect(['', ' ', '0', ' 12 ', '4294967295'].map(readPeople)).toEqual([0, 0, 0, 12, 4294967295]);
    for (const typed of ['-1', '1.5', 'two', '1e3', '4294967296', '9'.repeat(400)]) {
      expect(readPeople(typed)).toBeNull();
    }
  });
});
