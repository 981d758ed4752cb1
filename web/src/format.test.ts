import { describe, expect, it } from 'vitest';
import { duration, hue, inDays, initials, size } from './format';

describe('format', () => {
  it('writes durations with hours only when there are some', () => {
    expect([0, 7.4, 59.6, 754, 3723, -5].map(duration)).toEqual([
      '0:00',
      '0:07',
      '1:00',
      '12:34',
      '1:02:03',
      '0:00',
    ]);
  });

  it('writes sizes with a unit that fits', () => {
    expect([0, 812, 4_200_000, 99_600_000, 999_600, 1.5e12].map(size)).toEqual([
      '0 B',
      '812 B',
      '4.2 MB',
      '100 MB',
      '1.0 MB',
      '1.5 TB',
    ]);
  });

  it('finds initials in any writing', () => {
    expect(['Ada Lovelace', 'Participant42', '  ', '李 小龍', '🎬x'].map(initials)).toEqual([
      'AL',
      'P',
      '?',
      '李小',
      '🎬',
    ]);
  });

  it('gives a name the same hue each time', () => {
    expect(hue('Ada')).toBe(hue('Ada'));
    expect(hue('Ada')).not.toBe(hue('Bob'));
  });

  it('says when days are over, where they ever are', () => {
    expect(inDays(1, 5)).toBe(86_400_005);
    expect(inDays(0, 5)).toBeNull();
  });
});
