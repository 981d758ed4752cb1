import { afterEach, describe, expect, it, vi } from 'vitest';
import { answer } from '../testServer';
import { audit, readAudit } from './audit';

afterEach(() => vi.unstubAllGlobals());

describe('the audit log', () => {
  it('is read, with words that this page does not know', () => {
    const who = { kind: 'guest', id: 'RL_1', name: 'Ada' };
    const told = readAudit({
      entries: [
        { id: 8, at: 5, act: 'moon.landed', outcome: 'failed', who, on: { name: 'x' }, reason: 'no' },
        { id: 7, at: 4, act: 'key.made', outcome: 'done', address: '192.0.2.1' },
        { id: 6 },
      ],
      next: 7,
      refusals: [{ act: 'signIn.refused', who: { kind: 'nobody' }, count: 5, firstAt: 1, lastAt: 2 }, {}],
      lost: 2,
    });
    expect(told.acts).toMatchObject([
      { id: 8, act: 'moon.landed', hasFailed: true, who, on: null, reason: 'no' },
      { id: 7, act: 'key.made', hasFailed: false, who: null, address: '192.0.2.1' },
    ]);
    expect(told.refusals).toMatchObject([{ act: 'signIn.refused', count: 5, who: { kind: 'nobody' } }]);
    expect(told).toMatchObject({ next: 7, unwritten: 0, lost: 2, trouble: null });
  });

  it('is asked for what is searched, and for older acts', async () => {
    const spy = answer(200, { entries: [] });
    await audit('', null);
    await audit('a&b', 7);
    expect(spy.mock.calls.map(([path]) => path)).toEqual([
      '/audit?limit=50',
      '/audit?limit=50&q=a%26b&before=7',
    ]);
  });
});
