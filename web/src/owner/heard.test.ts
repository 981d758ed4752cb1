import { describe, expect, it } from 'vitest';
import { answered, elapsed, NOTHING, unanswered } from './heard';

describe('what was heard', () => {
  it('stays when the server is silent, and is known to be old', () => {
    const heard = answered('yes', 5);
    expect(heard).toEqual({ value: 'yes', at: 5, error: null });
    expect(unanswered(heard, 'no answer')).toEqual({ value: 'yes', at: 5, error: 'no answer' });
    expect(unanswered(NOTHING, 'no answer')).toEqual({ value: null, at: null, error: 'no answer' });
  });

  it('goes on by this clock until the next answer, and no longer than one may take', () => {
    const heard = answered('yes', 10_000);
    expect(elapsed(30, heard, 10_000)).toBe(30);
    expect(elapsed(30, heard, 13_500)).toBe(33.5);
    expect(elapsed(30, heard, 3_600_000)).toBe(40);
    expect(elapsed(30, heard, 9_000)).toBe(30);
    expect(elapsed(30, unanswered(heard, 'no answer'), 13_500)).toBe(30);
    expect(elapsed(30, NOTHING, 13_500)).toBe(30);
  });
});
