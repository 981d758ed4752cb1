import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, type Turn } from '../api';
import { nextAfter, waitToBeLetIn } from './lobby';

const knock = { roomName: 'a/b', id: 'KN_1', secret: 's1' };

/** A server that gives these answers one after the other, and the last one from then on. What was asked of it is noted. */
function server(...answers: [number, unknown][]) {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (path: string, options: RequestInit) => {
    const secret = new Headers(options.headers).get('X-Reelroom-Knock');
    asked.push(`${options.method} ${path} ${secret ?? '-'}`);
    const [status, body] = (answers.length > 1 ? answers.shift() : answers[0]) ?? [500, {}];
    return { ok: status < 400, status, headers: new Headers(), json: async () => body } as Response;
  });
  return asked;
}

const state = (state: string, token?: string): [number, unknown] => [200, { state, token }];
const admission = { token: 't', asksConsent: false };

describe('somebody who waits to be let in', () => {
  let controller: AbortController;
  let turns: Turn[];

  beforeEach(() => {
    vi.useFakeTimers();
    controller = new AbortController();
    turns = [];
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const wait = () =>
    waitToBeLetIn({
      knock,
      participantName: 'Ada',
      onTurn: (turn) => turns.push(turn),
      signal: controller.signal,
    });

  it('is told how it stands and comes in with the token', async () => {
    const asked = server(state('alone'), state('waiting'), state('waiting'), state('admitted', 't'));
    const token = wait();
    await vi.advanceTimersByTimeAsync(5000);
    await expect(token).resolves.toEqual(admission);
    expect(turns).toEqual(['alone', 'waiting', 'waiting']);
    expect(asked).toEqual([
      'GET /rooms/a%2Fb/lobby/KN_1 s1',
      'GET /rooms/a%2Fb/lobby/KN_1?shown=alone s1',
      'GET /rooms/a%2Fb/lobby/KN_1?shown=waiting s1',
      'GET /rooms/a%2Fb/lobby/KN_1?shown=waiting s1',
    ]);
  });

  it('is told whether the room asks for consent by then', async () => {
    server([200, { state: 'admitted', token: 't', consent: true }]);
    await expect(wait()).resolves.toEqual({ token: 't', asksConsent: true });
  });

  it('asks no more often than every two seconds where it is answered at once', async () => {
    const asked = server(state('waiting'));
    void wait();
    await vi.advanceTimersByTimeAsync(9000);
    expect(asked.length).toBeLessThanOrEqual(6);
    controller.abort();
    await vi.advanceTimersByTimeAsync(0);
  });

  it('is told that they are refused', async () => {
    server(state('waiting'), state('refused'));
    await expect(wait()).resolves.toBeNull();
    expect(turns).toEqual(['waiting']);
  });

  it('knocks again where the server knows them no more, and goes on where it is away', async () => {
    const asked = server(
      [503, { errorMessage: 'away' }],
      [404, { errorMessage: 'gone' }],
      [202, { waiting: { id: 'KN_2', secret: 's2' } }],
      state('admitted', 't'),
    );
    const token = wait();
    await vi.advanceTimersByTimeAsync(10_000);
    await expect(token).resolves.toEqual(admission);
    expect(asked.slice(2)).toEqual(['POST /token -', 'GET /rooms/a%2Fb/lobby/KN_2 s2']);
  });

  it('knocks again until the server is there, and is told when they were refused meanwhile', async () => {
    const asked = server(
      [404, { errorMessage: 'gone' }],
      [503, { errorMessage: 'away' }],
      [202, { waiting: { id: 'KN_2', secret: 's2' } }],
      [404, { errorMessage: 'gone' }],
      [429, { errorMessage: 'you were not let in' }],
    );
    const refused = expect(wait()).rejects.toThrow('you were not let in');
    await vi.advanceTimersByTimeAsync(10_000);
    await refused;
    expect(asked).toEqual([
      'GET /rooms/a%2Fb/lobby/KN_1 s1',
      'POST /token -',
      'POST /token -',
      'GET /rooms/a%2Fb/lobby/KN_2 s2',
      'POST /token -',
    ]);
  });

  it('does not come in where they gave up while they knocked again', async () => {
    vi.stubGlobal('fetch', async (_path: string, options: RequestInit) => {
      const isKnock = options.method === 'POST';
      if (isKnock) controller.abort();
      const status = isKnock ? 200 : 404;
      const body = isKnock ? { token: 't' } : { errorMessage: 'gone' };
      return { ok: isKnock, status, headers: new Headers(), json: async () => body } as Response;
    });
    const token = wait();
    await vi.advanceTimersByTimeAsync(5000);
    await expect(token).resolves.toBeNull();
  });

  it('is let in where there is no lobby any more when they knock again', async () => {
    server([404, { errorMessage: 'gone' }], [200, { token: 't' }]);
    const token = wait();
    await vi.advanceTimersByTimeAsync(5000);
    await expect(token).resolves.toEqual(admission);
  });

  it('gives up where the link is over, and says why', async () => {
    server([401, { errorMessage: 'the link is over' }]);
    await expect(wait()).rejects.toThrow('the link is over');
  });

  it('says that they wait no more', async () => {
    const asked = server(state('waiting'));
    const token = wait();
    await vi.advanceTimersByTimeAsync(500);
    controller.abort();
    await expect(token).resolves.toBeNull();
    expect(asked.at(-1)).toBe('DELETE /rooms/a%2Fb/lobby/KN_1 s1');
  });
});

it('a question that was not answered is asked again where that helps', () => {
  const after = (status: number) => nextAfter(new ApiError('', status));
  expect([0, 429, 500, 502, 503].map(after)).toEqual(Array(5).fill('go on'));
  expect(after(404)).toBe('knock again');
  expect([400, 401, 403, 410].map(after)).toEqual(Array(4).fill('give up'));
  expect(nextAfter(new TypeError('a mistake'))).toBe('give up');
});
