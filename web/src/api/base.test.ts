import { afterEach, describe, expect, it, vi } from 'vitest';
import { address, prefixOf, resolved } from './base';
import { call } from './client';
import { openEvents } from './events';
import { downloadUrl, playbackUrl } from './recordings';
import { listRooms } from './rooms';
import { mediaServerUrl } from './settings';
import { makeShare, watchedShare } from './shares';
import { answer } from './testServer';

/** The page at this address. */
const at = (href: string) => {
  const location = new URL(href);
  vi.stubGlobal('location', location);
  vi.stubGlobal('window', { location });
};

afterEach(() => vi.unstubAllGlobals());

describe('where the server is', () => {
  it('is what stands before the name of the page', () => {
    for (const [pathname, prefix] of [
      ['/', ''],
      ['/owner', ''],
      ['/recordings.html', ''],
      ['/calls/', '/calls'],
      ['/calls/owner', '/calls'],
      ['/of/us/calls/recordings.html', '/of/us/calls'],
      // A proxy may take two slashes for one; a browser takes them for the beginning of a host.
      ['//owner', ''],
      ['//calls/owner', '/calls'],
      ['', ''],
    ] as const) {
      expect(prefixOf(pathname), pathname).toBe(prefix);
    }
  });

  it('is asked there, and by nothing that is another host', () => {
    expect(address('/events')).toBe('/events');
    at('https://example.org/calls/owner#rooms');
    expect(address('/events')).toBe('/calls/events');
    expect(address('/')).toBe('/calls/');
    expect(resolved('/join#a')).toBe('/calls/join#a');
    for (const whole of ['https://bucket.example.org/a.mp4?b', '//evil.example/a']) {
      expect(resolved(whole)).toBe(whole);
    }
    at('https://example.org//calls/owner');
    expect(address('/events')).toBe('/calls/events');
  });
});

describe('below a path', () => {
  it('calls and streams go there', async () => {
    at('https://example.org/calls/');
    const asked = answer(200, { rooms: [] });
    await listRooms();
    await openEvents(null, new AbortController().signal);
    expect(asked.mock.calls.map(([path]) => path)).toEqual(['/calls/rooms', '/calls/events']);
    answer(200, {});
    expect(await mediaServerUrl()).toBe('https://example.org/calls');
    answer(200, { livekitUrl: 'wss://media.example.org' });
    expect(await mediaServerUrl()).toBe('wss://media.example.org');
  });

  it('what may set a cookie says where the page is', async () => {
    for (const [page, path] of [
      ['https://example.org/calls/owner', '/calls/'],
      ['https://example.org/calls/', '/calls/'],
      ['https://example.org/owner', '/'],
      ['http://localhost:6080/', '/'],
    ] as const) {
      at(page);
      const asked = answer(200, {});
      await call('POST', '/owner/session', { password: 'a' });
      await call('GET', '/owner/session');
      const said = asked.mock.calls.map(([, { headers }]) => new Headers(headers).get('X-Reelroom-Path'));
      expect(said, page).toEqual([path, null]);
    }
  });

  it('what is played, kept and passed on is found there', async () => {
    at('https://example.org/calls/recordings.html');
    expect(downloadUrl('a b')).toBe('/calls/recordings/a%20b?download');
    const path = '/recordings/a?expires=1&signature=b';
    answer(200, { recordingUrl: path, recordingPath: path });
    expect(await playbackUrl('a')).toBe(`/calls${path}`);
    answer(200, { recordingUrl: `https://other.example.org/calls${path}`, recordingPath: path });
    expect(await playbackUrl('a'), 'by the address that was opened').toBe(`/calls${path}`);
    answer(200, { recordingUrl: 'https://bucket.example.org/a?X-Amz-Signature=b' });
    expect(await playbackUrl('a')).toBe('https://bucket.example.org/a?X-Amz-Signature=b');
    answer(200, { id: 'SH_1', file: '/watch/SH_1/file' });
    expect((await watchedShare('SH_1')).file).toBe('/calls/watch/SH_1/file');
    const wish = { name: '', download: false, password: null, expiresAt: null };
    answer(200, { link: '/watch#secret' });
    expect(await makeShare('a', wish)).toBe('https://example.org/calls/watch#secret');
    answer(200, { link: 'https://other.example.org/c/watch#secret' });
    expect(await makeShare('a', wish)).toBe('https://other.example.org/c/watch#secret');
    const links = [
      { role: 'host', path: '/join#a' },
      { role: 'guest', path: '/join#b', url: 'https://other.example.org/c/join#b' },
    ];
    answer(200, { rooms: [{ name: 'a', links }] });
    const [room] = await listRooms();
    expect(room?.links.map((link) => link.path)).toEqual([
      '/calls/join#a',
      'https://other.example.org/c/join#b',
    ]);
  });
});
