import { afterEach, describe, expect, it, vi } from 'vitest';
import { deleteRecording, listRecordings, readRecording } from './recordings';
import { answer } from './testServer';

afterEach(() => vi.unstubAllGlobals());

describe('recordings', () => {
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

  it('reads until when a recording is kept', () => {
    expect(readRecording({ name: 'a.mp4', keptUntil: 5 })).toMatchObject({ keptUntil: 5, kept: false });
    expect(readRecording({ name: 'a.mp4', kept: true })).toMatchObject({ keptUntil: null, kept: true });
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
});
