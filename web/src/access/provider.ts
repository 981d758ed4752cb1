/** Signing in at an OpenID provider: where it begins, and why it came to nothing. */
import { address, prefixOf } from '../api';

const REASONS = ['stale', 'declined', 'away', 'refused', 'odd', 'stranger', 'busy', 'failed'] as const;
/** Why nobody is signed in, as the server says it to the owner's page. */
export type Reason = (typeof REASONS)[number];

interface Place {
  pathname: string;
  search: string;
}

/** Where a sign-in that keeps this page begins, in a tab of its own. */
export const OWNER_PAGE: Place = { pathname: '/owner', search: '' };

/** Why somebody comes back who is not signed in; null where nobody does. */
export function reasonOf(search: string): Reason | null {
  const said = new URLSearchParams(search).get('oidc');
  return REASONS.find((reason) => reason === said) ?? null;
}

/** Where the sign-in begins, for whoever is at this place, or was going elsewhere when they came back. The server looks at where that is. */
export function beginUrl({ pathname, search }: Place): string {
  // The server knows its places by their paths below its own.
  const path = pathname.slice(prefixOf(pathname).length);
  const next = reasonOf(search) === null ? path + search : new URLSearchParams(search).get('next');
  return address(`/owner/oidc?${new URLSearchParams({ next: next ?? path })}`);
}
