import { describe, expect, it } from 'vitest';
import { readShare, type Share } from '../api';
import { facts, isOver, reached } from './shares';

const share: Share = {
  id: 'SH_1',
  name: '',
  download: false,
  hasPassword: false,
  madeAt: 1,
  expiresAt: null,
  revokedAt: null,
  views: 0,
  watching: 0,
};

describe('links to a recording', () => {
  it('are read as the server tells them', () => {
    const told = {
      id: 'SH_1',
      download: true,
      hasPassword: true,
      madeAt: 1,
      expiresAt: 9,
      views: 3,
      watching: 2,
    };
    expect(readShare(told)).toEqual({ ...share, ...told });
    expect(readShare({ id: 'SH_1', madeAt: 1 })).toEqual(share);
    for (const value of [null, 'x', {}, { id: '' }]) expect(readShare(value)).toBeNull();
  });

  it('are over when they are revoked or their time is', () => {
    expect(isOver(share, 5)).toBe(false);
    expect(isOver({ ...share, expiresAt: 6 }, 5)).toBe(false);
    expect(isOver({ ...share, expiresAt: 5 }, 5)).toBe(true);
    expect(isOver({ ...share, revokedAt: 1 }, 5)).toBe(true);
  });

  it('say what they give and who opened them', () => {
    expect(facts(share, 5)).toEqual(['plays only', 'never opened']);
    const used = { ...share, download: true, hasPassword: true, views: 2, watching: 1 };
    expect(facts(used, 5)).toEqual([
      'plays and downloads',
      'with a password',
      'opened 2 times',
      '1 watching now',
    ]);
    expect(facts({ ...used, revokedAt: 4 }, 5)).toEqual([
      'Revoked',
      'plays and downloads',
      'with a password',
      'opened 2 times',
    ]);
    expect(facts({ ...share, expiresAt: 4, views: 1 }, 5)).toEqual(['Expired', 'plays only', 'opened once']);
  });

  it('say how far somebody came', () => {
    expect(reached(500, 1000)).toBe('50 %');
    expect(reached(2000, 1000)).toBe('100 %');
    expect(reached(4_200_000, null)).toBe('4.2 MB');
  });
});
