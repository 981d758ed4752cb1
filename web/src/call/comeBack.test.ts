import { describe, expect, it } from 'vitest';
import { delayBefore } from './comeBack';

/** When somebody tries who cannot be unluckier, ms after the server was lost. */
function tries(chance: number): number[] {
  const all: number[] = [];
  for (let elapsed = 0, count = 0; ; count += 1) {
    const delay = delayBefore(elapsed, count, chance);
    if (delay === null) return all;
    // The try itself takes some time, too.
    elapsed += delay + 50;
    all.push(elapsed);
  }
}

describe('a call that lost its server', () => {
  it('is tried within a second, wherever in a restart the server is there again', () => {
    for (const chance of [0, 0.5, 1]) {
      const all = tries(chance);
      for (let back = 0; back < 9000; back += 100) {
        const next = all.find((at) => at >= back) ?? Number.POSITIVE_INFINITY;
        expect(next - back).toBeLessThan(1000);
      }
    }
  });

  it('is tried for minutes, and less often then', () => {
    for (const chance of [0, 1]) {
      const all = tries(chance);
      expect(all.at(-1)).toBeGreaterThan(170_000);
      expect(all.length).toBeLessThan(180);
    }
  });

  it('is not tried by all at once', () => {
    expect(delayBefore(0, 0, 0)).toBe(0);
    expect(delayBefore(0, 0, 1)).toBe(300);
    expect(delayBefore(5000, 4, 0.25)).not.toBe(delayBefore(5000, 4, 0.75));
  });
});
