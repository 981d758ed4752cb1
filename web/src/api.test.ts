import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError, deleteRecording, listRecordings, readRecording, requestToken } from './api';

const answer = (status: number, body: unknown) => {
  const spy = vi.fn(async (_path: string, _options: RequestInit) => Response.json(body, { status }));
  vi.stubGlobal('fetch', spy);
  return spy;
};

afterEach(() => vi.unstubAllGlobals());

describe('api', () => {
  it('reads a recording made by the tutorial, which has no status and no duration', () => {
    expect(
      readRecording({ id: 'EG_1', name: 'a.mp4', roomName: 'r', roomId: 'RM_1', startedAt: 5, size: 7 }),
    ).toMatchObject({ id: 'EG_1', status: 'complete', duration: null, size: 7, progress: null });
  });

  it('does not trust what it is told', () => {
    expect(readRecording(null)).toBeNull();
    expect(readRecording({ name: 3 })).toBeNull();
    expect(
      readRecording({ name: 'a.mp4', status: 'odd', progress: 7, size: -1, startedAt: Number.NaN }),
    ).toMatchObject({ id: 'a.mp4', status: 'complete', progress: 1, size: null, startedAt: 0 });
  });

  it('reads what waits to be stored and what a crash cost', () => {
    const waiting = {
      name: 'a.mp4',
      upload: { state: 'uploading', progress: 0.5, attempts: 2, lastError: 'no disk' },
    };
    expect(readRecording(waiting)).toMatchObject({
      upload: { state: 'uploading', progress: 0.5, attempts: 2, lastError: 'no disk', nextTryAt: null },
      lostSeconds: null,
    });
    expect(readRecording({ name: 'a.mp4', recovered: true, lostSeconds: 0.4 })).toMatchObject({
      upload: null,
      lostSeconds: 0.4,
    });
  });

  it('encodes names into one path segment', async () => {
    const spy = answer(200, { message: 'ok' });
    await deleteRecording('../a b?#<x>.mp4');
    expect(spy.mock.calls[0]?.[0]).toBe('/recordings/..%2Fa%20b%3F%23%3Cx%3E.mp4');
  });

  it('leaves out empty filters', async () => {
    const spy = answer(200, { recordings: [], nextCursor: 'n' });
    const page = await listRecordings({ roomName: '', q: 'a&b', limit: 5 });
    expect(spy.mock.calls[0]?.[0]).toBe('/recordings?q=a%26b&limit=5');
    expect(page.nextCursor).toBe('n');
  });

  it('tells the reason the server gave, and one of its own for anything else', async () => {
    answer(409, { errorMessage: 'already recording' });
    await expect(requestToken('r', 'p')).rejects.toThrow('already recording');
    answer(200, 'text');
    await expect(requestToken('r', 'p')).rejects.toBeInstanceOf(ApiError);
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('failed')));
    await expect(requestToken('r', 'p')).rejects.toMatchObject({ status: 0 });
  });
});
