import { describe, expect, it } from 'vitest';
import { outcomeOf, readGone, readRoomState, shownOf, wasDeleted } from './roomState';

const said = (recordingStatus: string, recording?: Record<string, unknown>) =>
  readRoomState(JSON.stringify({ recordingStatus, ...(recording ? { recording } : {}) }));

describe('what a room is told of its recording', () => {
  it('is read in our shape, and where that is not there in the tutorial’s', () => {
    expect(
      said('STOPPING', { id: 'EG_1', status: 'finishing', startedAt: 7, progress: 0.62, error: 'slow' }),
    ).toEqual({ id: 'EG_1', status: 'finishing', startedAt: 7, progress: 0.62, error: 'slow' });
    for (const [word, status] of [
      ['STARTING', 'starting'],
      ['STARTED', 'recording'],
      ['STOPPING', 'finishing'],
      ['STOPPED', 'complete'],
      ['FAILED', 'failed'],
    ] as const) {
      expect(said(word)).toMatchObject({ status, id: null, progress: null });
    }
  });

  it('is not believed where somebody else wrote it', () => {
    const others = ['', 'agenda', '7', 'null', '[]', '{}', '{"recordingStatus":7}', '{"recording":"x"}'];
    for (const metadata of [undefined, ...others]) {
      expect(readRoomState(metadata)).toBeNull();
    }
    expect(said('constructor')).toBeNull();
    expect(said('STARTED', { id: 3, status: 'recording', startedAt: 'x', progress: 9, error: {} })).toEqual({
      id: null,
      status: 'recording',
      startedAt: null,
      progress: 1,
      error: null,
    });
    expect(said('STARTED', { status: 'odd' })?.status).toBe('recording');
  });

  it('never claims a recording that the media server does not make', () => {
    expect(shownOf(false, said('STARTED'))).toEqual({ at: 'nothing' });
    expect(shownOf(true, null)).toEqual({ at: 'recording' });
    expect(shownOf(true, said('STARTING'))).toEqual({ at: 'recording' });
    // The last one is over, and another one that is not told of yet goes on.
    for (const over of ['STOPPED', 'FAILED']) expect(shownOf(true, said(over))).toEqual({ at: 'recording' });
    expect(shownOf(false, said('STARTING'))).toEqual({ at: 'starting' });
    const finishing = said('STOPPING', { id: 'EG_1', status: 'finishing', progress: 0.5 });
    for (const active of [true, false]) {
      expect(shownOf(active, finishing)).toEqual({ at: 'finishing', progress: 0.5 });
    }
    for (const quiet of [null, said('STOPPED'), said('FAILED')]) {
      expect(shownOf(false, quiet)).toEqual({ at: 'nothing' });
    }
  });

  it('has an outcome once, for those who saw it go on', () => {
    const going = said('STOPPING', { id: 'EG_1', status: 'finishing' });
    const ready = said('STOPPED', { id: 'EG_1', status: 'complete' });
    const failed = said('FAILED', { id: 'EG_1', status: 'failed', error: 'the disk is full' });
    expect([outcomeOf(going, ready), outcomeOf(going, failed)]).toEqual(['ready', 'failed']);
    for (const [before, now] of [
      [null, ready],
      [ready, ready],
      [going, going],
      [going, null],
    ] as const) {
      expect(outcomeOf(before, now)).toBeNull();
    }
    expect(outcomeOf(going, said('STOPPED', { id: 'EG_2', status: 'complete' }))).toBeNull();
    expect(outcomeOf(said('STOPPING'), said('STOPPED'))).toBe('ready');
  });

  it('has deletions told by name', () => {
    const gone = (said: unknown) => readGone(new TextEncoder().encode(JSON.stringify(said)));
    expect(gone({ recordingName: 'a.mp4', id: 'EG_1' })).toEqual({ name: 'a.mp4', id: 'EG_1' });
    expect(gone({ recordingName: 'a.mp4' })).toEqual({ name: 'a.mp4', id: null });
    for (const other of [{}, null, 'a.mp4', { recordingName: 7 }, { recordingName: '' }]) {
      expect(gone(other)).toBeNull();
    }
    expect(readGone(new Uint8Array([0xff]))).toBeNull();
  });

  it('says that somebody deleted one only where somebody did', () => {
    const gone = { name: 'a.mp4', id: 'EG_1' };
    for (const [status, deleted] of [
      ['starting', false],
      ['recording', false],
      ['finishing', false],
      ['failed', false],
      ['complete', true],
    ] as const) {
      expect(wasDeleted(gone, said('STARTED', { id: 'EG_1', status }))).toBe(deleted);
      expect(wasDeleted(gone, said('STARTED', { id: 'EG_2', status }))).toBe(true);
    }
    expect(wasDeleted(gone, null)).toBe(true);
    expect(wasDeleted({ name: 'a.mp4', id: null }, said('STARTED'))).toBe(true);
  });
});
