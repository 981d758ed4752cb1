import { ConnectionError, ConnectionState, DisconnectReason, type Room, RoomEvent } from 'livekit-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connect, delayBefore, lookAgain } from './comeBack';

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

describe('whoever joins while the server is restarted', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Joins a room where each try fails as is said, the last one for ever; null lets them in. */
  const joining = (answers: (Error | null)[], isGone = () => false) => {
    let tries = 0;
    const room = {
      connect: async () => {
        const answer = answers[Math.min(tries, answers.length - 1)];
        tries += 1;
        if (answer) throw answer;
      },
    };
    const joined = connect(room, { serverUrl: 'ws://localhost', token: 'token' }, isGone).then(
      () => 'in',
      (error: Error) => error.message,
    );
    return { joined, tries: () => tries };
  };

  const away = ConnectionError.serverUnreachable('nobody answers');
  /** A status of 503 or 502. */
  const later = ConnectionError.websocket('later');
  const sentAway = ConnectionError.leaveRequest('sent away', DisconnectReason.JOIN_FAILURE);

  it('comes in as soon as it is there again', async () => {
    const gone = ConnectionError.internal('Websocket got closed during a (re)connection attempt: ');
    const { joined, tries } = joining([later, sentAway, gone, away, away, null]);
    await vi.advanceTimersByTimeAsync(4000);
    await expect(joined).resolves.toBe('in');
    expect(tries()).toBe(6);
  });

  it('is told at once why they may not, and soon that the room is full', async () => {
    const refused = joining([ConnectionError.notAllowed('no', 401)]);
    await expect(refused.joined).resolves.toBe('no');
    expect(refused.tries()).toBe(1);
    const media = joining([ConnectionError.internal('could not establish pc connection')]);
    await expect(media.joined).resolves.toBe('could not establish pc connection');
    const full = joining([sentAway]);
    await vi.advanceTimersByTimeAsync(1000);
    await expect(full.joined).resolves.toBe('sent away');
    expect(full.tries()).toBe(2);
  });

  it('is told at last that it is not there, and tries no more when nobody waits', async () => {
    const { joined } = joining([away]);
    await vi.advanceTimersByTimeAsync(11_000);
    await expect(joined).resolves.toBe('nobody answers');
    let isGone = false;
    const left = joining([away], () => isGone);
    await vi.advanceTimersByTimeAsync(700);
    isGone = true;
    await vi.advanceTimersByTimeAsync(11_000);
    await expect(left.joined).resolves.toBe('nobody answers');
    expect(left.tries()).toBe(2);
  });
});

describe('what the client did not say as it came back', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is looked for again, while the room is connected and shown', () => {
    const listeners = new Map<string, () => void>();
    const said: string[] = [];
    const room = {
      state: ConnectionState.Connected,
      on: (event: string, listener: () => void) => listeners.set(event, listener),
      off: (event: string) => listeners.delete(event),
      emit: (event: string, state: string) => said.push(`${event} ${state}`),
    };
    const stop = lookAgain(room as unknown as Room);
    vi.advanceTimersByTime(10_000);
    expect(said).toEqual([]);
    listeners.get(RoomEvent.Reconnected)?.();
    vi.advanceTimersByTime(10_000);
    expect(said).toEqual(Array(3).fill(`${RoomEvent.ConnectionStateChanged} ${ConnectionState.Connected}`));
    room.state = ConnectionState.Reconnecting;
    listeners.get(RoomEvent.Reconnected)?.();
    vi.advanceTimersByTime(500);
    room.state = ConnectionState.Connected;
    vi.advanceTimersByTime(600);
    expect(said.length).toBe(4);
    stop();
    vi.advanceTimersByTime(10_000);
    expect([said.length, listeners.size]).toEqual([4, 0]);
  });
});
