/** What an API key is worth. Pure. */
import type { ApiKey } from '../api/owner';

export type KeyState = 'inForce' | 'expired' | 'revoked';

export function keyState({ revokedAt, expiresAt }: ApiKey, now: number): KeyState {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'inForce';
}
