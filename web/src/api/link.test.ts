import { afterEach, describe, expect, it, vi } from 'vitest';
import { openEvents } from './events';
import { openLink } from './link';
import { isByLink, may } from './proof';
import { playbackUrl } from './recordings';
import { answer } from './testServer';

afterEach(() => vi.unstubAllGlobals());

describe('a link', () => {
  // It stays for the page's life: whatever comes after this comes by the link.
  it('is shown with each request, and in no address', async () => {
    expect(isByLink() || !may('record')).toBe(false);
    const fetched = answer(200, { roomName: 'r', role: 'guest', rights: ['list', 'play'], consent: true });
    expect(await openLink('secret')).toEqual({
      roomName: 'r',
      role: 'guest',
      lobby: false,
      asksConsent: true,
    });
    expect([may('play'), may('record'), isByLink()]).toEqual([true, false, true]);
    const played = answer(200, { recordingUrl: '/recordings/a.mp4?pass=p' });
    expect(await playbackUrl('a.mp4')).toBe('/recordings/a.mp4?pass=p');
    expect(played.mock.calls[0]?.[0]).toBe('/recordings/a.mp4/pass');
    const followed = answer(200, {});
    await openEvents(null, new AbortController().signal);
    const asked = [fetched, played, followed].flatMap((spy) => spy.mock.calls);
    expect(asked).toHaveLength(3);
    for (const [path, options] of asked) {
      expect(path).not.toContain('secret');
      expect((options.headers as Record<string, string>)['X-Reelroom-Link']).toBe('secret');
    }
  });
});
