import { describe, expect, it } from 'vitest';
import { choices, chosen, isSooner } from './keeping';

describe('for how long a room keeps its recordings', () => {
  it('is chosen among what is offered and what is set', () => {
    expect(choices(null)).toEqual([null, 365, 180, 90, 30, 14, 7, 1]);
    expect(choices(30)).toEqual(choices(null));
    expect(choices(45)).toEqual([null, 365, 180, 90, 45, 30, 14, 7, 1]);
    expect(choices(1000).slice(0, 3)).toEqual([null, 1000, 365]);
  });

  it('is asked about where recordings go sooner than before, and only there', () => {
    expect(isSooner(30, null)).toBe(true);
    expect(isSooner(7, 30)).toBe(true);
    expect(isSooner(30, 30)).toBe(false);
    expect(isSooner(90, 30)).toBe(false);
    expect(isSooner(null, 30)).toBe(false);
    expect(isSooner(null, null)).toBe(false);
  });

  it('is read from what a select says', () => {
    expect(chosen('30')).toBe(30);
    for (const value of ['', '0', '-1', '1.5', 'x']) expect(chosen(value)).toBeNull();
  });
});
