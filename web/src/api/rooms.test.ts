import { afterEach, describe, expect, it, vi } from 'vitest';
import { listRooms, retentionOf } from './rooms';
import { answer } from './testServer';

afterEach(() => vi.unstubAllGlobals());

describe('rooms', () => {
  it('reads rooms and does not trust what it is told of them', async () => {
    const links = [{ role: 'guest', path: '/join#a', expiresAt: 5 }, { role: 'host' }, { role: 'owner' }, 7];
    const told = { name: 'a', guests: ['chat', 3], hosts: ['delete'], maxParticipants: 8, links };
    answer(200, { rooms: [told, { name: 3 }, null, { name: 'b', guests: 'all', maxParticipants: -1 }] });
    expect(await listRooms()).toEqual([
      {
        name: 'a',
        guests: ['chat'],
        links: [
          { role: 'guest', path: '/join#a', expiresAt: 5 },
          { role: 'host', path: null, expiresAt: null },
        ],
        hosts: ['delete'],
        maxParticipants: 8,
        lobby: false,
        asksConsent: false,
        layout: null,
        keepDays: null,
      },
      {
        name: 'b',
        guests: [],
        hosts: [],
        maxParticipants: null,
        lobby: false,
        asksConsent: false,
        layout: null,
        keepDays: null,
        links: [],
      },
    ]);
  });

  it('reads what is set of the recordings of a room, and what that would delete', async () => {
    answer(200, {
      rooms: [
        { name: 'own', layout: 'speaker', keepDays: 30 },
        { name: 'other', layout: 'mosaic', keepDays: 'x' },
      ],
    });
    expect(await listRooms()).toMatchObject([
      { name: 'own', layout: 'speaker', keepDays: 30 },
      { name: 'other', layout: null, keepDays: null },
    ]);
    answer(200, { deletes: 3, deletesFrom: 9, first: [{ name: 'a.mp4', endedAt: 1 }, 7, { name: 3 }] });
    expect(await retentionOf('own', 7)).toEqual({ deletes: 3, deletesFrom: 9, first: ['a.mp4'] });
  });
});
