import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Waiter } from '../api';
import { followLobby, newcomers } from './lobby';

const waiter = (id: string): Waiter => ({ id, name: id, since: 1 });
const lobby = (version: number, ...waiting: Waiter[]): [number, unknown] => [
  200,
  { lobby: true, version, waiting },
];

function server(...answers: [number, unknown][]) {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    const [status, body] = (answers.length > 1 ? answers.shift() : answers[0]) ?? [500, {}];
    return { ok: status < 400, status, headers: new Headers(), json: async () => body } as Response;
  });
  return asked;
}

describe('whoever runs a room', () => {
  let controller: AbortController;
  let told: string[];

  beforeEach(() => {
    vi.useFakeTimers();
    controller = new AbortController();
    told = [];
  });
  afterEach(() => {
    controller.abort();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const follow = () =>
    followLobby('a/b', (waiting) => told.push(waiting.map(({ id }) => id).join(' ')), controller.signal);

  it('is told who waits, and asks for what comes after that', async () => {
    const asked = server(lobby(0), lobby(3, waiter('KN_1')), lobby(4, waiter('KN_1'), waiter('KN_2')));
    void follow();
    await vi.advanceTimersByTimeAsync(1000);
    expect(told.slice(0, 3)).toEqual(['', 'KN_1', 'KN_1 KN_2']);
    expect(asked.slice(0, 3)).toEqual([
      '/rooms/a%2Fb/lobby',
      '/rooms/a%2Fb/lobby?seen=0',
      '/rooms/a%2Fb/lobby?seen=3',
    ]);
    await vi.advanceTimersByTimeAsync(9000);
    expect(asked.length).toBeLessThanOrEqual(10);
  });

  it('asks seldom where nobody has to wait or the server is away, and sees when that changes', async () => {
    const asked = server(
      [200, { lobby: false, version: 0, waiting: [] }],
      [503, { errorMessage: 'away' }],
      lobby(1, waiter('KN_1')),
    );
    void follow();
    await vi.advanceTimersByTimeAsync(14_000);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(17_000);
    expect(told.slice(0, 2)).toEqual(['', 'KN_1']);
    expect(asked.slice(0, 3)).toEqual(Array(3).fill('/rooms/a%2Fb/lobby'));
  });

  it('asks no more where they do not run it any more', async () => {
    const asked = server(lobby(1, waiter('KN_1')), [403, { errorMessage: 'no' }]);
    await follow();
    expect(told).toEqual(['KN_1', '']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(2);
  });
});

it('newcomers are those who were not there before', () => {
  const [one, two, three] = [waiter('1'), waiter('2'), waiter('3')];
  expect(newcomers([one, two], [two, three])).toEqual([three]);
  expect(newcomers([], [])).toEqual([]);
});
