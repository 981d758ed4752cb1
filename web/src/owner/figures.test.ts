import { describe, expect, it } from 'vitest';
import { roomFor } from './figures';

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
});
