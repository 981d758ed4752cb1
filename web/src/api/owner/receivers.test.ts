import { afterEach, describe, expect, it, vi } from 'vitest';
import { answer } from '../testServer';
import { listDeliveries, testReceivers } from './receivers';

afterEach(() => vi.unstubAllGlobals());

describe('who is told by webhook', () => {
  it('reads what receivers were told, and that another server tells them', async () => {
    const receiver = { receiver: 'r1', place: 'https://a', waiting: 1, dropped: 0, trouble: 'no answer' };
    const delivery = { id: 4, place: 'https://a', event: 'egress_ended', state: 'odd', tries: 2 };
    answer(200, { receivers: [receiver, {}], deliveries: [delivery, { id: 'x' }] });
    const told = await listDeliveries(100);
    expect(told?.receivers).toEqual([
      { id: 'r1', place: 'https://a', waiting: 1, waitingSince: null, dropped: 0, trouble: 'no answer' },
    ]);
    expect(told?.deliveries).toMatchObject([{ id: 4, state: null, tries: 2, status: null, error: null }]);
    answer(404, { errorMessage: 'elsewhere' });
    expect(await listDeliveries(100)).toBeNull();
    answer(503, { errorMessage: 'the disk fails' });
    await expect(listDeliveries(100)).rejects.toThrow('the disk fails');
    answer(200, { results: [{ receiver: 'r1', place: 'https://a', took: 12, status: 200 }] });
    expect(await testReceivers()).toEqual([
      { receiver: 'r1', place: 'https://a', status: 200, error: null, tookMs: 12 },
    ]);
  });
});
