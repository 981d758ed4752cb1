/** What the server tells everybody of how it is set up. */
import { address } from './base';
import { call } from './client';
import { text } from './values';

export type AccessMode = 'open' | 'invite';

/** Whether whoever reaches the server may use it, or only who signs in. */
export async function accessMode(): Promise<AccessMode> {
  const { body } = await call('GET', '/settings.json');
  return body.access === 'invite' ? 'invite' : 'open';
}

/** The host of the OpenID provider at which the owner may sign in; null: by password alone. */
export async function providerHost(): Promise<string | null> {
  const { body } = await call('GET', '/settings.json');
  return text(body.oidcHost);
}

/** Where the media server is: this server, unless it names another. */
export async function mediaServerUrl(): Promise<string> {
  const own = `${window.location.origin}${address('')}`;
  try {
    const { body } = await call('GET', '/settings.json');
    return text(body.livekitUrl) ?? own;
  } catch {
    return own;
  }
}
