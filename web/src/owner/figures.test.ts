import { describe, expect, it } from 'vitest';
import { inDays, roomFor } from './figures';

describe('figures', () => {
  it('say how long the disk lasts, and never more', () => {
    expect([0, 0.34, 0.999, 1, 17.4, 47.9, 48, 100].map(roomFor)).toEqual([
      '0 minutes',
      '20 minutes',
      '59 minutes',
      '1 hour',
      '17 hours',
      '47 hours',
      '2 days',
      '4 days',
    ]);
  });

  it('say when days are over, where they ever are', () => {
    expect(inDays(1, 5)).toBe(86_400_005);
    expect(inDays(0, 5)).toBeNull();
  });
});
