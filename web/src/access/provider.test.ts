import { describe, expect, it, vi } from 'vitest';
import { texts } from '../texts';
import { beginUrl, OWNER_PAGE, reasonOf } from './provider';

const next = (pathname: string, search: string) =>
  new URL(beginUrl({ pathname, search }), 'http://localhost').searchParams.get('next');

describe('signing in elsewhere', () => {
  it('leads back to where somebody was going', () => {
    expect(beginUrl(OWNER_PAGE)).toBe('/owner/oidc?next=%2Fowner');
    expect(next('/', '?room=Test%20Room&x=a+b')).toBe('/?room=Test%20Room&x=a+b');
    expect(next('/recordings.html', '')).toBe('/recordings.html');
  });

  it('begins below the path of the server, which the server need not be told', () => {
    vi.stubGlobal('location', new URL('https://example.org/calls/recordings.html'));
    expect(beginUrl({ pathname: '/calls/recordings.html', search: '?q=a' })).toBe(
      '/calls/owner/oidc?next=%2Frecordings.html%3Fq%3Da',
    );
    expect(beginUrl({ pathname: '/calls/', search: '' })).toBe('/calls/owner/oidc?next=%2F');
    expect(beginUrl(OWNER_PAGE)).toBe('/calls/owner/oidc?next=%2Fowner');
    vi.unstubAllGlobals();
  });

  it('leads there also when it is tried again', () => {
    const said = '?oidc=away&next=%2Frecordings.html%3Fq%3Da%2520b';
    expect(next('/owner', said)).toBe('/recordings.html?q=a%20b');
    expect(next('/owner', '?oidc=stale')).toBe('/owner');
  });

  it('has a sentence for each reason of the server and for nothing else', () => {
    for (const reason of Object.keys(texts.access.provider)) {
      expect(reasonOf(`?oidc=${reason}&next=%2F`)).toBe(reason);
    }
    for (const search of ['', '?oidc', '?oidc=', '?oidc=toString', '?oidc=%3Cb%3E', '?next=stale']) {
      expect(reasonOf(search)).toBeNull();
    }
  });
});
