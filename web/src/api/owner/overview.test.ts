import { describe, expect, it } from 'vitest';
import { readOverview } from './overview';

describe('how the server stands', () => {
  it('is read', () => {
    const recording = { id: 'EG_1', name: 'a.mp4', roomName: 'r', startedAt: 1, status: 'recording' };
    const told = readOverview({
      at: 9,
      version: '1',
      startedAt: 1,
      rooms: [
        {
          name: 'r',
          count: 3,
          people: [
            { identity: 'ada', publishes: ['camera', 1], role: 'host', kind: 'person' },
            { name: 'x' },
          ],
        },
        { count: 2 },
      ],
      recordings: [{ ...recording, elapsed: 2.5 }],
      queues: { composing: [], storing: [recording], storingCount: 300 },
      storage: { kind: 'folder', disk: { freeBytes: 1, totalBytes: 2 }, hoursLeft: 3.5, isMeasured: true },
      capacity: 0,
      roomsTrouble: 'no answer',
      warnings: ['look at it'],
      settings: [
        { name: 's3_secret_key', value: 'set', from: 'file', isSecret: true },
        { name: 'udp_port', value: '7882', from: 'file', isSecret: false, next: '7883' },
        { value: 'x' },
      ],
    });
    expect(told.rooms).toEqual([
      {
        name: 'r',
        count: 3,
        trouble: null,
        people: [
          {
            identity: 'ada',
            name: 'ada',
            joinedAt: null,
            role: 'host',
            publishes: ['camera'],
            kind: 'person',
          },
        ],
      },
    ]);
    expect(told).toMatchObject({
      roomsCount: 1,
      storingCount: 300,
      capacity: 0,
      troubles: ['no answer', 'look at it'],
      settings: [
        { name: 's3_secret_key', value: 'set', from: 'file', isSecret: true, next: null },
        { name: 'udp_port', value: '7882', from: 'file', isSecret: false, next: '7883' },
      ],
    });
    expect(told.recordings).toMatchObject([{ id: 'EG_1', elapsed: 2.5 }]);
    expect(told.storage).toMatchObject({
      disk: { freeBytes: 1, totalBytes: 2 },
      hoursLeft: 3.5,
      place: null,
    });
  });

  it('is empty where nothing is told of it', () => {
    const told = readOverview({ storage: { disk: { freeBytes: 1 } }, queues: 7 });
    expect(told).toMatchObject({ rooms: [], recordings: [], storing: [], troubles: [], settings: [] });
    expect(told.storage).toMatchObject({ disk: null, hoursLeft: null, recordings: null });
  });
});
