import { describe, expect, it } from 'vitest';
import { EventReader } from './eventReader';
import {
  asking,
  begin,
  ended,
  FIRST_MS,
  heard,
  isBlind,
  isUnheard,
  opened,
  told,
  UNHEARD_MS,
} from './following';

describe('server-sent events', () => {
  it('are read out of whatever pieces they come in', () => {
    const text =
      'retry: 2000\n\nevent: reload\nid: 7-1\ndata: {}\n\nevent: beat\ndata: {}\n\nevent: a\ndata: 1\ndata: 2\n\n';
    const events = [
      { kind: 'reload', id: '7-1', data: '{}' },
      { kind: 'beat', id: null, data: '{}' },
      { kind: 'a', id: null, data: '1\n2' },
    ];
    for (const size of [1, 2, 7, text.length]) {
      const reader = new EventReader();
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.slice(at * size, (at + 1) * size),
      );
      expect(pieces.flatMap((piece) => reader.push(piece))).toEqual(events);
    }
  });

  it('that do not end are not waited for', () => {
    const reader = new EventReader();
    expect(() => {
      for (let mb = 0; mb < 3; mb += 1) reader.push('x'.repeat(1024 * 1024));
    }).toThrow();
  });
});

describe('following', () => {
  const open = opened(asking(begin(0)));

  it('comes again at once after what was told, and more and more seldom while nothing is', () => {
    const first = ended(told(open, '7-1', 100), null, 200, 1);
    expect(first.waitMs).toBeLessThanOrEqual(1000);
    expect(first.following).toMatchObject({ course: 'waiting', lastId: '7-1', failures: 1, heardAt: 100 });
    let [now, waits] = [first.following, [first.waitMs]];
    for (let round = 0; round < 20; round += 1) {
      const again = ended(asking(now), 0, 300, 1);
      now = again.following;
      waits = [...waits, again.waitMs];
    }
    expect(waits.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
    expect(Math.max(...waits)).toBe(12_000);
    expect(now.lastId).toBe('7-1');
    expect(told(now, null, 400)).toMatchObject({ failures: 0, lastId: '7-1' });
    // Not all at the same time.
    expect(ended(open, 0, 0, 0).waitMs).toBeLessThan(ended(open, 0, 0, 0.9).waitMs);
  });

  it('is over for whoever may not, and goes on where there is no place', () => {
    for (const status of [401, 403]) expect(ended(open, status, 5, 0).following.course).toBe('over');
    for (const status of [0, 500, 502, 503]) {
      expect(ended(open, status, 5, 0).following.course).toBe('waiting');
    }
  });

  it('says that nothing is heard when nothing is, and not when the server only has no place', () => {
    expect(isUnheard(open, UNHEARD_MS)).toBe(false);
    expect(isUnheard(open, UNHEARD_MS + 1)).toBe(true);
    expect(isUnheard(told(open, null, 10), UNHEARD_MS + 1)).toBe(false);
    expect(isUnheard(heard(open, 10), UNHEARD_MS + 1)).toBe(false);
    for (const [status, unheard] of [
      [0, true],
      [502, true],
      [504, true],
      [null, true],
      [503, false],
      [401, false],
    ] as const) {
      expect(isUnheard(ended(open, status, 10, 0).following, UNHEARD_MS + 1)).toBe(unheard);
    }
  });

  it('has the list read where nothing tells of it, before anybody is told that the server is not heard', () => {
    const once = ended(open, null, 0, 0).following;
    expect(isBlind(once)).toBe(false);
    let last = ended(once, null, 0, 1);
    expect(isBlind(last.following)).toBe(true);
    for (let round = 0; round < 9; round += 1) last = ended(last.following, null, 0, 1);
    expect(FIRST_MS + last.waitMs).toBeLessThan(UNHEARD_MS);
    expect(isBlind(told(last.following, null, 0))).toBe(false);
  });
});
