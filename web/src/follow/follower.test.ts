import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, type Told } from '../api';
import { Follower } from './follower';

/** A server that the test speaks for. */
class Server {
  /** With which id each came. */
  asked: (string | null)[] = [];
  refuses: number | null = null;
  private speaker: ReadableStreamDefaultController<Uint8Array> | null = null;

  readonly open = async (lastId: string | null, signal: AbortSignal) => {
    this.asked.push(lastId);
    if (this.refuses !== null) throw new ApiError('no', this.refuses);
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.speaker = controller;
        signal.addEventListener('abort', () => {
          if (this.speaker !== controller) return;
          this.speaker = null;
          controller.error(new Error('aborted'));
        });
      },
    });
  };

  get isOpen() {
    return this.speaker !== null;
  }

  async says(text: string) {
    this.speaker?.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(0);
  }

  async ends() {
    this.speaker?.close();
    this.speaker = null;
    await vi.advanceTimersByTimeAsync(0);
  }
}

const RELOAD = 'event: reload\nid: 7-1\ndata: {}\n\n';
const BEAT = 'event: beat\ndata: {}\n\n';

describe('a page that follows', () => {
  let server: Server;
  let follower: Follower;
  let heard: Told[];

  beforeEach(() => {
    vi.useFakeTimers();
    server = new Server();
    follower = new Follower(server.open);
    heard = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const listen = async () => {
    const leave = follower.listen((told) => heard.push(told));
    await vi.advanceTimersByTimeAsync(0);
    return leave;
  };

  it('hears what is told, and comes again with the last that it heard', async () => {
    await listen();
    await server.says(`retry: 2000\n\n${RELOAD}`);
    await server.says('event: recording.changed\nid: 7-2\ndata: {"id":"EG_1","name":"a.mp4"}\n\n');
    await server.says('event: recording.deleted\nid: 7-3\ndata: {"id":"EG_1","name":"a.mp4"}\n\n');
    await server.says('event: unknown\ndata: {}\n\nevent: recording.changed\ndata: nonsense\n\n');
    expect(heard.map(({ kind }) => kind)).toEqual(['reload', 'changed', 'deleted']);
    await server.ends();
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.asked).toEqual([null, '7-3']);
    expect(heard.length).toBe(3);
  });

  it('asks once, however many listen, and not at all when nobody does', async () => {
    const leave = [await listen(), await listen()];
    expect(server.asked.length).toBe(1);
    leave[0]?.();
    expect(server.isOpen).toBe(true);
    leave[1]?.();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.isOpen).toBe(false);
    expect(server.asked.length).toBe(1);
    expect(follower.isUnheard()).toBe(false);
    await listen();
    expect(server.asked.length).toBe(2);
  });

  it('says that the server is not heard, comes again, and takes that back', async () => {
    const changes: boolean[] = [];
    follower.watch(() => changes.push(follower.isUnheard()));
    await listen();
    await server.says(RELOAD);
    for (let beat = 0; beat < 10; beat += 1) {
      await vi.advanceTimersByTimeAsync(15_000);
      await server.says(BEAT);
    }
    expect(changes).toEqual([]);
    server.refuses = 0;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(changes).toEqual([true]);
    expect(server.asked.length).toBeGreaterThan(1);
    server.refuses = null;
    for (let step = 0; step < 40 && !server.isOpen; step += 1) await vi.advanceTimersByTimeAsync(500);
    await server.says(RELOAD);
    expect(changes).toEqual([true, false]);
  });

  it('has the list read where there is no place or nothing gets through', async () => {
    server.refuses = 503;
    await listen();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(heard.length).toBeGreaterThan(3);
    expect(heard.every(({ kind }) => kind === 'reload')).toBe(true);
    expect(follower.isUnheard()).toBe(false);
    // Something in between waits for the answer's end.
    server.refuses = null;
    const before = heard.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(heard.length).toBeGreaterThan(before + 2);
  });

  it('is over for whoever may not, until they are somebody else', async () => {
    server.refuses = 401;
    await listen();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.asked.length).toBe(1);
    server.refuses = null;
    follower.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.isOpen).toBe(true);
  });

  it('rests while nobody looks, and has missed nothing then', async () => {
    await listen();
    await server.says(RELOAD);
    follower.show(false);
    await vi.advanceTimersByTimeAsync(600_000);
    expect([server.isOpen, follower.isUnheard()]).toEqual([false, false]);
    follower.show(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(server.asked).toEqual([null, '7-1']);
  });
});
