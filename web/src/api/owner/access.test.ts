import { afterEach, describe, expect, it, vi } from 'vitest';
import { answer } from '../testServer';
import { endSession, listKeys, listSessions, makeKey, revokeKey } from './access';

afterEach(() => vi.unstubAllGlobals());

describe('who comes in as the owner', () => {
  it('reads sessions and keys, and does not trust what it is told', async () => {
    answer(200, { sessions: [{ id: 'SE_1', current: true, begunAt: 1, address: 7 }, { id: 3 }, null] });
    expect(await listSessions()).toEqual([
      { id: 'SE_1', begunAt: 1, seenAt: 0, endsAt: 0, address: null, userAgent: '', isCurrent: true },
    ]);
    answer(200, { keys: [{ id: 'rr_1', name: 'a', rights: ['list', 4], madeAt: 1, usedAt: -1 }, {}] });
    expect(await listKeys()).toEqual([
      { id: 'rr_1', name: 'a', rights: ['list'], madeAt: 1, expiresAt: null, usedAt: null, revokedAt: null },
    ]);
    answer(200, {});
    expect(await listKeys()).toEqual([]);
  });

  it('makes a key that lasts as long as is wanted, and gives its secret', async () => {
    const spy = answer(200, { key: {}, secret: 'rr_secret' });
    expect(await makeKey({ name: 'a', rights: ['list'], expiresAt: null })).toBe('rr_secret');
    expect(await makeKey({ name: 'a', rights: ['list'], expiresAt: 9 })).toBe('rr_secret');
    expect(spy.mock.calls.map(([, options]) => options.body)).toEqual([
      '{"name":"a","rights":["list"]}',
      '{"name":"a","rights":["list"],"expiresAt":9}',
    ]);
    answer(200, { key: {} });
    await expect(makeKey({ name: 'a', rights: ['list'], expiresAt: null })).rejects.toThrow('unexpected');
  });

  it('takes what is over already for over, and nothing else', async () => {
    const spy = answer(404, { errorMessage: 'there is no such session or key' });
    await expect(endSession('a/b')).resolves.toBeUndefined();
    expect(spy.mock.calls[0]?.[0]).toBe('/owner/sessions/a%2Fb');
    await expect(revokeKey('rr_1')).resolves.toBeUndefined();
    answer(503, { errorMessage: 'the disk fails' });
    await expect(revokeKey('rr_1')).rejects.toThrow('the disk fails');
  });
});
