import { describe, expect, it } from 'vitest';
import { ApiError, type Watched } from '../api';
import { heard, plays, refused, secretOf, type WatchState } from './watchState';

const watched: Watched = {
  id: 'SH_1',
  file: '/watch/SH_1/file',
  title: 'Room',
  startedAt: 0,
  duration: 5,
  status: 'complete',
  playable: null,
  download: false,
  size: null,
};
const showing: WatchState = { at: 'showing', watched, opened: 1 };

describe('a link that is opened', () => {
  it('has its secret behind the "#"', () => {
    expect(secretOf('#aB-_9')).toBe('aB-_9');
    for (const hash of ['', '#']) expect(secretOf(hash)).toBeNull();
  });

  it('asks for the password where it has one, and says what was wrong with it', () => {
    expect(refused(new ApiError('needed', 401), false)).toEqual({ at: 'locked', refusal: null });
    for (const status of [401, 429, 503]) {
      expect(refused(new ApiError('no', status), true)).toEqual({ at: 'locked', refusal: 'no' });
    }
  });

  it('is over, or has failed for now', () => {
    for (const typed of [true, false]) {
      expect(refused(new ApiError('no', 410), typed)).toEqual({ at: 'over' });
    }
    for (const status of [0, 429, 500, 503]) {
      expect(refused(new ApiError('no', status), false)).toEqual({ at: 'failed', reason: 'no' });
    }
    expect(refused(new ApiError('away', 0), true)).toEqual({ at: 'failed', reason: 'away' });
  });
});

describe('a link that is being watched', () => {
  it('ends at once when the server says so, and is opened again when the ticket is over', () => {
    expect(heard(showing, { error: new ApiError('over', 410) })).toEqual({ at: 'over' });
    expect(heard(showing, { error: new ApiError('again', 401) })).toBe('open');
  });

  it('goes on while nothing is known', () => {
    for (const status of [0, 500, 503]) {
      expect(heard(showing, { error: new ApiError('no', status) })).toBe(showing);
    }
  });

  it('learns what is new and begins nothing anew by it', () => {
    const more = { ...watched, status: 'finishing' as const, playable: 3 };
    expect(heard(showing, { watched: more })).toEqual({ ...showing, watched: more });
    const over: WatchState = { at: 'over' };
    expect(heard(over, { watched })).toBe(over);
  });

  it('plays what is there', () => {
    expect(plays(watched)).toBe(true);
    expect(plays({ ...watched, status: 'finishing' })).toBe(false);
    expect(plays({ ...watched, status: 'finishing', playable: 2 })).toBe(true);
  });
});
