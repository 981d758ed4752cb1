import { afterEach, describe, expect, it, vi } from 'vitest';
import { requestToken } from './joining';
import { decideLobby, mutePerson, removePerson, roomLobby } from './moderation';
import { server } from './testServer';

afterEach(() => vi.unstubAllGlobals());

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
