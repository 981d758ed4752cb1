import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from './client';
import { requestToken } from './joining';
import { answer } from './testServer';

afterEach(() => vi.unstubAllGlobals());

describe('a call', () => {
  it('tells the reason the server gave, and one of its own for anything else', async () => {
    answer(409, { errorMessage: 'already recording' });
    await expect(requestToken('r', 'p')).rejects.toThrow('already recording');
    answer(200, 'text');
    await expect(requestToken('r', 'p')).rejects.toBeInstanceOf(ApiError);
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('failed')));
    await expect(requestToken('r', 'p')).rejects.toMatchObject({ status: 0 });
  });
});
