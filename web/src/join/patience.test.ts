import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api';
import { patiently } from './patience';

describe('whoever joins while the server is restarted', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const asking = (answers: (string | number)[], controller = new AbortController()) => {
    let away = 0;
    const ask = async () => {
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (typeof answer === 'string') return answer;
      throw new ApiError(`status ${answer}`, answer ?? 500);
    };
    const onAway = () => {
      away += 1;
    };
    const answer = patiently(ask, { onAway, signal: controller.signal }).catch(
      (error: Error) => error.message,
    );
    return { answer, away: () => away };
  };

  it('comes in as soon as it is there again', async () => {
    const { answer, away } = asking([0, 502, 503, 'token']);
    await vi.advanceTimersByTimeAsync(3000);
    await expect(answer).resolves.toBe('token');
    expect(away()).toBe(3);
  });

  it('is told at once what it says, and at last that it is not there', async () => {
    const refused = asking([403]);
    await expect(refused.answer).resolves.toBe('status 403');
    expect(refused.away()).toBe(0);
    const { answer } = asking([0]);
    await vi.advanceTimersByTimeAsync(11_000);
    await expect(answer).resolves.toBe('status 0');
  });

  it('gives up when nobody waits any more', async () => {
    const controller = new AbortController();
    const { answer } = asking([0], controller);
    await vi.advanceTimersByTimeAsync(1000);
    controller.abort();
    await expect(answer).resolves.toBe('status 0');
  });
});
