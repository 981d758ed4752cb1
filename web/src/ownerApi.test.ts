import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  audit,
  endSession,
  listDeliveries,
  listKeys,
  listSessions,
  makeKey,
  readAudit,
  readOverview,
  revokeKey,
  testReceivers,
} from './ownerApi';

const answer = (status: number, body: unknown) => {
  const spy = vi.fn(async (_path: string, _options: RequestInit) => Response.json(body, { status }));
  vi.stubGlobal('fetch', spy);
  return spy;
};

afterEach(() => vi.unstubAllGlobals());

describe('what the owner asks', () => {
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

  it('reads what receivers were told, and that another server tells them', async () => {
    const receiver = { receiver: 'r1', place: 'https://a', waiting: 1, dropped: 0, trouble: 'no answer' };
    const delivery = { id: 4, place: 'https://a', event: 'egress_ended', state: 'odd', tries: 2 };
    answer(200, { receivers: [receiver, {}], deliveries: [delivery, { id: 'x' }] });
    const told = await listDeliveries(100);
    expect(told?.receivers).toEqual([
      { id: 'r1', place: 'https://a', waiting: 1, waitingSince: null, dropped: 0, trouble: 'no answer' },
    ]);
    expect(told?.deliveries).toMatchObject([{ id: 4, state: null, tries: 2, status: null, error: null }]);
    answer(404, { errorMessage: 'elsewhere' });
    expect(await listDeliveries(100)).toBeNull();
    answer(503, { errorMessage: 'the disk fails' });
    await expect(listDeliveries(100)).rejects.toThrow('the disk fails');
    answer(200, { results: [{ receiver: 'r1', place: 'https://a', took: 12, status: 200 }] });
    expect(await testReceivers()).toEqual([
      { receiver: 'r1', place: 'https://a', status: 200, error: null, tookMs: 12 },
    ]);
  });

  it('reads how the server stands', () => {
    const recording = { id: 'EG_1', name: 'a.mp4', roomName: 'r', startedAt: 1, status: 'recording' };
    const told = readOverview({
      at: 9,
      version: '1',
      startedAt: 1,
      rooms: [
        {
          name: 'r',
          count: 3,
          people: [
            { identity: 'ada', publishes: ['camera', 1], role: 'host', kind: 'person' },
            { name: 'x' },
          ],
        },
        { count: 2 },
      ],
      recordings: [{ ...recording, elapsed: 2.5 }],
      queues: { composing: [], storing: [recording], storingCount: 300 },
      storage: { kind: 'folder', disk: { freeBytes: 1, totalBytes: 2 }, hoursLeft: 3.5, isMeasured: true },
      capacity: 0,
      roomsTrouble: 'no answer',
      warnings: ['look at it'],
      settings: [{ name: 's3_secret_key', value: 'set', from: 'file', isSecret: true }, { value: 'x' }],
    });
    expect(told.rooms).toEqual([
      {
        name: 'r',
        count: 3,
        trouble: null,
        people: [
          {
            identity: 'ada',
            name: 'ada',
            joinedAt: null,
            role: 'host',
            publishes: ['camera'],
            kind: 'person',
          },
        ],
      },
    ]);
    expect(told).toMatchObject({
      roomsCount: 1,
      storingCount: 300,
      capacity: 0,
      troubles: ['no answer', 'look at it'],
      settings: [{ name: 's3_secret_key', value: 'set', from: 'file', isSecret: true }],
    });
    expect(told.recordings).toMatchObject([{ id: 'EG_1', elapsed: 2.5 }]);
    expect(told.storage).toMatchObject({
      disk: { freeBytes: 1, totalBytes: 2 },
      hoursLeft: 3.5,
      place: null,
    });
  });

  it('shows nothing where nothing is told of how the server stands', () => {
    const told = readOverview({ storage: { disk: { freeBytes: 1 } }, queues: 7 });
    expect(told).toMatchObject({ rooms: [], recordings: [], storing: [], troubles: [], settings: [] });
    expect(told.storage).toMatchObject({ disk: null, hoursLeft: null, recordings: null });
  });

  it('reads the audit log, with words that it does not know', () => {
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

  it('asks the audit log for what is searched, and for older acts', async () => {
    const spy = answer(200, { entries: [] });
    await audit('', null);
    await audit('a&b', 7);
    expect(spy.mock.calls.map(([path]) => path)).toEqual([
      '/audit?limit=50',
      '/audit?limit=50&q=a%26b&before=7',
    ]);
  });
});
