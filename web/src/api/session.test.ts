import { afterEach, describe, expect, it, vi } from 'vitest';
import { isSignedIn } from './client';
import { requestToken } from './joining';
import { onSession } from './proof';
import { deleteRecording, listRecordings } from './recordings';
import { changePassword, resumeSession, signIn, signOut } from './session';
import { accessMode, providerHost } from './settings';
import { answer, server } from './testServer';

afterEach(() => vi.unstubAllGlobals());

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
});
