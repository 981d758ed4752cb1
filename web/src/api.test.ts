import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ApiError,
  accessMode,
  changePassword,
  decideLobby,
  deleteRecording,
  isByLink,
  isSignedIn,
  listRecordings,
  listRooms,
  may,
  mutePerson,
  onSession,
  openEvents,
  openLink,
  playbackUrl,
  providerHost,
  readRecording,
  readReport,
  readTold,
  removePerson,
  requestToken,
  resumeSession,
  retentionOf,
  roomLobby,
  signIn,
  signOut,
} from './api';

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

  it('reads who agreed to being recorded and when', () => {
    const consents = [
      { identity: 'bob', name: '', answer: 'declined', agreed_at: 5e9, withdrawn_at: 7e9 },
      { identity: 'ann', name: 'Ann', answer: 'agreed', agreed_at: 3e9, declined_at: 2e9 },
      { identity: 'cem', answer: 'perhaps', agreed_at: 'once' },
      7,
    ];
    const unsaid = { agreedAt: null, declinedAt: null, withdrawnAt: null };
    expect(readReport({ consents }).consents).toEqual([
      { ...unsaid, identity: 'ann', who: 'Ann', agrees: true, agreedAt: 3000, declinedAt: 2000 },
      { ...unsaid, identity: 'bob', who: 'bob', agrees: false, agreedAt: 5000, withdrawnAt: 7000 },
      { ...unsaid, identity: 'cem', who: 'cem', agrees: null },
    ]);
    expect(readReport({ consents: 'all' }).consents).toEqual([]);
    const left = { why: 'declined', from_ns: 1e9, to_ns: 2e9 };
    expect(readReport({ tracks: { TR_a: { left_out: left } } }).tracks?.[0]?.leftOut?.why).toBe('declined');
  });

  it('reads until when a recording is kept, and of a room what is set of its recordings', async () => {
    expect(readRecording({ name: 'a.mp4', keptUntil: 5 })).toMatchObject({ keptUntil: 5, kept: false });
    expect(readRecording({ name: 'a.mp4', kept: true })).toMatchObject({ keptUntil: null, kept: true });
    answer(200, {
      rooms: [
        { name: 'own', layout: 'speaker', keepDays: 30 },
        { name: 'other', layout: 'mosaic', keepDays: 'x' },
      ],
    });
    expect(await listRooms()).toMatchObject([
      { name: 'own', layout: 'speaker', keepDays: 30 },
      { name: 'other', layout: null, keepDays: null },
    ]);
    answer(200, { deletes: 3, deletesFrom: 9, first: [{ name: 'a.mp4', endedAt: 1 }, 7, { name: 3 }] });
    expect(await retentionOf('own', 7)).toEqual({ deletes: 3, deletesFrom: 9, first: ['a.mp4'] });
  });

  it('reads a report, by person and source, and does not trust it either', () => {
    const report = readReport({
      sha256: 'ab',
      skipped: [{ participant: 'Ann', from_ns: 1_333_000_000, to_ns: 2e9, why: 'it crashed' }, 7],
      tracks: {
        TR_b: {
          name: 'Bob',
          source: 'microphone',
          codecs: ['opus', 1],
          frames: 9,
          concealed_samples: 960,
          packets: { received: 20, kept: 9, dropped: { before_keyframe: 4, padding: 7 } },
        },
        TR_c: {
          identity: 'ann',
          source: 'camera',
          codecs: ['vp8'],
          frames: 30,
          gaps: { count: 2, total_ns: 400_000_000, longest: [] },
          lost_packets: 12,
          packets: {
            received: 60,
            kept: 40,
            dropped: { incomplete: 3, before_keyframe: 5, duplicate: 9, late: {} },
          },
          dropped: { late: 3, ahead: 1, after_end: 2, broken: 'many' },
          freezes: { count: 1, total_ns: 2e9 },
          sizes: {
            changes: 1,
            first: [
              { width: 640, height: 360 },
              { width: 1280, height: 720 },
            ],
          },
          sync: { worst_offset_ns: 12_000_000, drift_ppm: -40 },
        },
        TR_a: {
          identity: 'ann',
          source: 'telepathy',
          from_ns: 'soon',
          left_out: { why: 'encrypted', from_ns: 1e9, to_ns: 5e9, frames: 0 },
        },
        TR_x: null,
      },
    });
    expect(report).toMatchObject({ sha256: 'ab', droppedFrames: 0 });
    expect(report.skipped).toEqual([
      { participant: 'Ann', fromSeconds: 1.333, toSeconds: 2, why: 'it crashed' },
    ]);
    expect(report.tracks?.map((track) => track.id)).toEqual(['TR_c', 'TR_a', 'TR_b']);
    expect(report.tracks?.[0]).toMatchObject({
      whose: 'ann',
      gaps: { count: 2, seconds: 0.4 },
      freezes: { count: 1, seconds: 2 },
      misplaced: 4,
      unusablePackets: 8,
      size: { width: 1280, height: 720 },
      worstOffsetMs: 12,
      driftPpm: -40,
    });
    expect(report.tracks?.[1]).toMatchObject({ source: null, fromSeconds: 0, frames: 0, size: null });
    expect(report.tracks?.[1]?.leftOut).toEqual({ why: 'encrypted', fromSeconds: 1, toSeconds: 5 });
    expect(report.tracks?.[0]?.leftOut).toBeNull();
    expect(report.tracks?.[2]).toMatchObject({
      codecs: ['opus'],
      concealedSeconds: 0.02,
      unusablePackets: 0,
    });
    expect(readReport({ egress_id: 'EG_1' })).toMatchObject({ sha256: null, tracks: null, skipped: [] });
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

/** A server whose answers are made by `answers`; what was asked of it is noted as method, path and CSRF token. */
function server(answers: (asked: string) => [number, unknown]) {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (path: string, options: RequestInit) => {
    const said = new Headers(options.headers).get('X-CSRF-Token');
    asked.push(`${options.method} ${path} ${said ?? '-'}`);
    const [status, body] = answers(asked.at(-1) ?? '');
    return Response.json(body, { status });
  });
  return asked;
}

describe('a room that somebody runs', () => {
  it('has a lobby as the server tells it, and asks about people by one path segment each', async () => {
    const asked = server((call) =>
      call.includes('/lobby')
        ? [
            200,
            { lobby: true, version: 7, waiting: [{ id: 'KN_1', name: 'Ada', since: 5 }, { id: 3 }, null] },
          ]
        : [200, { waiting: { id: 'KN_1', secret: 's' } }],
    );
    await expect(roomLobby('r', null)).resolves.toEqual({
      lobby: true,
      version: 7,
      waiting: [{ id: 'KN_1', name: 'Ada', since: 5 }],
    });
    await expect(requestToken('r', 'p')).resolves.toEqual({ roomName: 'r', id: 'KN_1', secret: 's' });
    await mutePerson('a/b', 'c/d', 'microphone');
    await removePerson('a/b', 'c/d');
    await decideLobby('a/b', 'admit', ['KN_1']);
    expect(asked.slice(2)).toEqual([
      'POST /rooms/a%2Fb/participants/c%2Fd/mute -',
      'DELETE /rooms/a%2Fb/participants/c%2Fd -',
      'POST /rooms/a%2Fb/lobby/admit -',
    ]);
  });
});

describe('whoever is signed in', () => {
  afterEach(async () => {
    server(() => [200, { signedIn: false }]);
    await signOut();
  });

  it('proves with each change, and with no look, that their own page asks', async () => {
    const asked = server(() => [200, { signedIn: true, csrf: 'c1', recordings: [], token: 't' }]);
    await requestToken('r', 'p');
    await signIn('secret');
    await listRecordings({});
    await requestToken('r', 'p');
    await deleteRecording('a.mp4');
    await signOut();
    await requestToken('r', 'p');
    expect(asked).toEqual([
      'POST /token -',
      'POST /owner/session -',
      'GET /recordings -',
      'POST /token c1',
      'DELETE /recordings/a.mp4 c1',
      'DELETE /owner/session c1',
      'POST /token -',
    ]);
  });

  it('goes on after another tab has signed in anew', async () => {
    let current = 'c1';
    const asked = server((call) => {
      if (call.includes('/owner/session')) return [200, { signedIn: true, csrf: current }];
      return call.endsWith(` ${current}`) ? [200, { token: 't' }] : [403, { errorMessage: 'forged' }];
    });
    await isSignedIn();
    current = 'c2';
    await expect(requestToken('r', 'p')).resolves.toEqual({ token: 't', asksConsent: false });
    expect(asked.slice(1)).toEqual(['POST /token c1', 'GET /owner/session -', 'POST /token c2']);
  });

  it('is told of a refusal that is none of forgery, and once', async () => {
    const asked = server((call) =>
      call.includes('/owner/session')
        ? [200, { signedIn: true, csrf: 'c1' }]
        : [403, { errorMessage: 'you may not do this' }],
    );
    await isSignedIn();
    await expect(requestToken('r', 'p')).rejects.toThrow('you may not do this');
    expect(asked.filter((call) => call.startsWith('POST'))).toHaveLength(1);
  });

  it('is asked to sign in again when the server does not know them, and not for a wrong password', async () => {
    const told = vi.fn();
    const stop = onSession(told);
    server((call) => [
      call.startsWith('GET /settings') ? 200 : 401,
      { access: 'invite', errorMessage: 'no' },
    ]);
    await expect(signIn('wrong')).rejects.toMatchObject({ status: 401, message: 'no' });
    expect(await accessMode()).toBe('invite');
    expect(told).not.toHaveBeenCalled();
    await expect(listRecordings({})).rejects.toMatchObject({ status: 401 });
    expect(told.mock.calls).toEqual([[false]]);
    server(() => [200, { signedIn: true, csrf: 'c1' }]);
    await signIn('right');
    expect(told.mock.calls).toEqual([[false], [true]]);
    stop();
    await signIn('right');
    expect(told).toHaveBeenCalledTimes(2);
  });

  it('takes up a session that was begun in another tab, and is told where that may be', async () => {
    const told = vi.fn();
    const stop = onSession(told);
    answer(200, { signedIn: false });
    await resumeSession();
    expect(told).not.toHaveBeenCalled();
    answer(200, { signedIn: true, csrf: 'c' });
    await resumeSession();
    expect(told.mock.calls).toEqual([[true]]);
    stop();
    answer(200, { access: 'invite', oidcHost: 'accounts.example.org' });
    expect(await providerHost()).toBe('accounts.example.org');
    answer(200, { access: 'invite' });
    expect(await providerHost()).toBeNull();
  });

  it('stays signed in who changes the password, by another word', async () => {
    const asked = server((call) =>
      call.startsWith('PUT')
        ? [200, { signedIn: true, csrf: 'c2' }]
        : [200, { signedIn: true, csrf: 'c1', token: 't' }],
    );
    await isSignedIn();
    await changePassword('before', 'after');
    await requestToken('r', 'p');
    expect(asked.slice(1)).toEqual(['PUT /owner/password c1', 'POST /token c2']);
  });

  it('is asked to sign in again when their session is over as they change the password', async () => {
    const told = vi.fn();
    const stop = onSession(told);
    server(() => [401, { errorMessage: 'no' }]);
    await expect(changePassword('before', 'after')).rejects.toMatchObject({ status: 401 });
    expect(told.mock.calls).toEqual([[false]]);
    stop();
  });

  it('is out, whether the server knew them or not', async () => {
    server(() => [401, { errorMessage: 'no' }]);
    await expect(signOut()).resolves.toBeUndefined();
    server(() => [503, { errorMessage: 'the disk fails' }]);
    await expect(signOut()).rejects.toThrow('the disk fails');
  });

  it('reads rooms and does not trust what it is told of them', async () => {
    const links = [{ role: 'guest', path: '/join#a', expiresAt: 5 }, { role: 'host' }, { role: 'owner' }, 7];
    const told = { name: 'a', guests: ['chat', 3], hosts: ['delete'], maxParticipants: 8, links };
    answer(200, { rooms: [told, { name: 3 }, null, { name: 'b', guests: 'all', maxParticipants: -1 }] });
    expect(await listRooms()).toEqual([
      {
        name: 'a',
        guests: ['chat'],
        links: [
          { role: 'guest', path: '/join#a', expiresAt: 5 },
          { role: 'host', path: null, expiresAt: null },
        ],
        hosts: ['delete'],
        maxParticipants: 8,
        lobby: false,
        asksConsent: false,
        layout: null,
        keepDays: null,
      },
      {
        name: 'b',
        guests: [],
        hosts: [],
        maxParticipants: null,
        lobby: false,
        asksConsent: false,
        layout: null,
        keepDays: null,
        links: [],
      },
    ]);
  });

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

  // It stays for the page's life: whatever comes after this comes by the link.
  it('shows a link with each request, and in no address', async () => {
    expect(isByLink() || !may('record')).toBe(false);
    const fetched = answer(200, { roomName: 'r', role: 'guest', rights: ['list', 'play'], consent: true });
    expect(await openLink('secret')).toEqual({
      roomName: 'r',
      role: 'guest',
      lobby: false,
      asksConsent: true,
    });
    expect([may('play'), may('record'), isByLink()]).toEqual([true, false, true]);
    answer(200, { recordingUrl: '/recordings/a.mp4?pass=p' });
    expect(await playbackUrl('a.mp4')).toBe('/recordings/a.mp4?pass=p');
    for (const [path, options] of fetched.mock.calls) {
      expect(path).not.toContain('secret');
      expect((options.headers as Record<string, string>)['X-Reelroom-Link']).toBe('secret');
    }
  });
});
