/**
 * Follows what happens to recordings, once for the whole page: whoever shows some of it listens here.
 *
 * With `fetch` and not with `EventSource`, which can show no link into a room. A page that nobody sees does not follow: without HTTP/2 a
 * browser has six connections to a server for all its tabs, and a stream takes one of them for as long as it lasts.
 */
import { ApiError, onSession, openEvents, readTold, type Told } from '../api';
import { EventReader } from './eventReader';
import {
  asking,
  begin,
  ended,
  FIRST_MS,
  type Following,
  heard,
  isBlind,
  isUnheard,
  opened,
  told,
  UNHEARD_MS,
} from './following';

/** A page that is looked at again soon has missed nothing. */
const HIDDEN_MS = 30_000;
const LOOK_MS = 1000;

export type Listener = (told: Told) => void;
type Open = (lastId: string | null, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;

export class Follower {
  private following: Following = begin(Date.now());
  private readonly listeners = new Set<Listener>();
  private readonly watchers = new Set<() => void>();
  private unheard = false;
  private hidden = false;
  private running = false;
  /** Ends what is being read. */
  private abort: AbortController | null = null;
  /** Ends the pause between two tries. */
  private wake: (() => void) | null = null;
  private look: ReturnType<typeof setInterval> | null = null;

  constructor(private readonly open: Open) {}

  /** Calls `listener` with what is told; gives what ends that. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    this.go();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.rest();
    };
  }

  /** Calls `watcher` when the server is not heard any more, or is again; gives what ends that. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => {
      this.watchers.delete(watcher);
    };
  }

  /** Whether the server has not been heard for so long that what is shown may not be so any more. */
  isUnheard(): boolean {
    return this.unheard;
  }

  /** The server was heard otherwise. */
  heard(): void {
    this.following = heard(this.following, Date.now());
    this.notice();
  }

  /** Whatever stood in the way may be gone: it is asked now. */
  hurry(): void {
    if (this.following.course === 'over') this.following = asking(this.following);
    this.go();
    this.wake?.();
  }

  /** Whether somebody looks at the page. */
  show(isShown: boolean): void {
    this.hidden = !isShown;
    if (isShown) this.hurry();
    else this.rest();
  }

  private isWanted(): boolean {
    return this.listeners.size > 0 && !this.hidden && this.following.course !== 'over';
  }

  private go(): void {
    if (this.running || !this.isWanted()) return;
    this.running = true;
    // What was not listened to was not missed.
    this.heard();
    this.look ??= setInterval(() => this.notice(), LOOK_MS);
    void this.run();
  }

  private rest(): void {
    this.abort?.abort();
    this.wake?.();
  }

  private async run(): Promise<void> {
    while (this.isWanted()) {
      this.following = asking(this.following);
      const status = await this.read();
      if (!this.isWanted()) break;
      const next = ended(this.following, status, Date.now(), Math.random());
      this.following = next.following;
      this.notice();
      if (isBlind(this.following)) this.tell({ kind: 'reload' });
      if (this.isWanted()) await this.pause(next.waitMs);
    }
    this.running = false;
    if (this.look !== null) clearInterval(this.look);
    this.look = null;
    if (this.unheard) {
      this.unheard = false;
      for (const watcher of this.watchers) watcher();
    }
    // Somebody may have come while it ended.
    this.go();
  }

  /** Reads a stream to its end. Gives the status with which there is none; null where there was one. */
  private async read(): Promise<number | null> {
    const abort = new AbortController();
    this.abort = abort;
    let mute = setTimeout(() => abort.abort(), UNHEARD_MS);
    const speaks = (waitMs: number) => {
      clearTimeout(mute);
      mute = setTimeout(() => abort.abort(), waitMs);
    };
    let isOpen = false;
    try {
      const stream = await this.open(this.following.lastId, abort.signal);
      isOpen = true;
      this.following = opened(this.following);
      speaks(FIRST_MS);
      const [reader, events, text] = [stream.getReader(), new EventReader(), new TextDecoder()];
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return null;
        for (const event of events.push(text.decode(value, { stream: true }))) {
          speaks(UNHEARD_MS);
          this.following = told(this.following, event.id, Date.now());
          this.notice();
          const what = readTold(event.kind, event.data);
          if (what !== null) this.tell(what);
        }
      }
    } catch (error) {
      return isOpen ? null : error instanceof ApiError ? error.status : 0;
    } finally {
      clearTimeout(mute);
      abort.abort();
      this.abort = null;
    }
  }

  private pause(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake?.(), waitMs);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
    });
  }

  private tell(what: Told): void {
    for (const listener of [...this.listeners]) listener(what);
  }

  private notice(): void {
    const unheard = this.running && isUnheard(this.following, Date.now());
    if (unheard === this.unheard) return;
    this.unheard = unheard;
    for (const watcher of this.watchers) watcher();
  }
}

/** The page's. */
export const follower = new Follower(openEvents);

if (typeof document !== 'undefined') {
  let hiding: ReturnType<typeof setTimeout> | undefined;
  const looked = () => {
    clearTimeout(hiding);
    if (document.visibilityState === 'hidden') hiding = setTimeout(() => follower.show(false), HIDDEN_MS);
    else follower.show(true);
  };
  document.addEventListener('visibilitychange', looked);
  // A page that is opened behind others is hidden from its beginning, and nothing says so.
  looked();
  window.addEventListener('online', () => follower.hurry());
  onSession((signedIn) => signedIn && follower.hurry());
}
