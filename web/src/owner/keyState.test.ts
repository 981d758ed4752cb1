import { describe, expect, it } from 'vitest';
import type { ApiKey } from '../api/owner';
import { keyState } from './keyState';

const key: ApiKey = {
  id: 'rr_1',
  name: 'backup',
  rights: ['list'],
  madeAt: 1,
  expiresAt: null,
  usedAt: null,
  revokedAt: null,
};

describe('an API key', () => {
  it('is in force until it is revoked or its time is over', () => {
    expect(keyState(key, 5)).toBe('inForce');
    expect(keyState({ ...key, expiresAt: 6 }, 5)).toBe('inForce');
    expect(keyState({ ...key, expiresAt: 5 }, 5)).toBe('expired');
    expect(keyState({ ...key, revokedAt: 2 }, 5)).toBe('revoked');
    expect(keyState({ ...key, revokedAt: 2, expiresAt: 4 }, 5)).toBe('revoked');
  });
});
