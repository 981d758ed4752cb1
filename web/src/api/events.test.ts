import { afterEach, describe, expect, it, vi } from 'vitest';
import { openEvents, readTold } from './events';
import { answer } from './testServer';

afterEach(() => vi.unstubAllGlobals());

describe('what happens to recordings', () => {
  it('reads what is told and does not trust it', () => {
    expect(readTold('reload', '{}')).toEqual({ kind: 'reload' });
    expect(readTold('recording.changed', '{"id":"EG_1","name":"a.mp4","status":"finishing"}')).toMatchObject({
      kind: 'changed',
      recording: { id: 'EG_1', status: 'finishing' },
    });
    const gone = '{"id":"EG_1","name":"a.mp4","roomName":"r"}';
    expect(readTold('recording.deleted', gone)).toEqual({ kind: 'deleted', name: 'a.mp4' });
    for (const [kind, data] of [
      ['beat', '{}'],
      ['over', '{"errorMessage":"no"}'],
      ['recording.changed', '{}'],
      ['recording.changed', 'x'],
      ['recording.deleted', '{"name":7}'],
      ['recording.deleted', 'null'],
    ] as const) {
      expect(readTold(kind, data)).toBeNull();
    }
  });

  it('follows with the last event that was heard, and says why it may not', async () => {
    const stream = new Response('event: beat\ndata: {}\n\n');
    const spy = vi.fn(async (_path: string, _options: RequestInit) => stream);
    vi.stubGlobal('fetch', spy);
    const { signal } = new AbortController();
    expect(await openEvents('7-1', signal)).toBe(stream.body);
    expect(spy.mock.calls[0]?.[0]).toBe('/events');
    expect(spy.mock.calls[0]?.[1].headers).toMatchObject({ 'Last-Event-ID': '7-1' });
    answer(503, { errorMessage: 'too many follow' });
    await expect(openEvents(null, signal)).rejects.toMatchObject({ status: 503, message: 'too many follow' });
    vi.stubGlobal(
      'fetch',
      vi.fn(async () => Promise.reject(new TypeError('no network'))),
    );
    await expect(openEvents(null, signal)).rejects.toMatchObject({ status: 0 });
  });
});
