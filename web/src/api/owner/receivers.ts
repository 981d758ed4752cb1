/** Who is told of recordings by webhook, and what came of it. */
import { ApiError, call } from '../client';
import { all, amount, type Json, text } from '../values';

/** Who is told of recordings by webhook. */
export interface Receiver {
  /** What it is called: the same as long as its address is. */
  id: string;
  /** Scheme and host of its address. */
  place: string;
  waiting: number;
  /** Since when the oldest waits, ms since 1970. */
  waitingSince: number | null;
  /** Given up since the program began. */
  dropped: number;
  /** Why the last try failed; null where it did not. */
  trouble: string | null;
}

export const DELIVERY_STATES = ['waiting', 'delivered', 'expired', 'dropped'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** A webhook for one receiver. Times are milliseconds since 1970. */
export interface Delivery {
  id: number;
  place: string;
  event: string;
  /** Of the recording. */
  egressId: string;
  state: DeliveryState | null;
  madeAt: number;
  settledAt: number | null;
  nextTryAt: number | null;
  tries: number;
  /** HTTP status of the last answer; null where there was none. */
  status: number | null;
  error: string | null;
}

/** What came of telling a receiver of nothing. */
export interface TestResult {
  receiver: string;
  place: string;
  status: number | null;
  /** Why it counts as not delivered; null where it is. */
  error: string | null;
  tookMs: number;
}

export interface Deliveries {
  receivers: Receiver[];
  /** Newest first. */
  deliveries: Delivery[];
}

function readReceiver(value: Json): Receiver | null {
  const id = text(value.receiver);
  if (id === null) return null;
  return {
    id,
    place: text(value.place) ?? id,
    waiting: amount(value.waiting) ?? 0,
    waitingSince: amount(value.waitingSince),
    dropped: amount(value.dropped) ?? 0,
    trouble: text(value.trouble),
  };
}

function readDelivery(value: Json): Delivery | null {
  const id = amount(value.id);
  if (id === null) return null;
  return {
    id,
    place: text(value.place) ?? '',
    event: text(value.event) ?? '',
    egressId: text(value.egressId) ?? '',
    state: DELIVERY_STATES.find((known) => known === value.state) ?? null,
    madeAt: amount(value.madeAt) ?? 0,
    settledAt: amount(value.settledAt),
    nextTryAt: amount(value.nextTryAt),
    tries: amount(value.tries) ?? 0,
    status: amount(value.status),
    error: text(value.error),
  };
}

function readTest(value: Json): TestResult | null {
  const receiver = text(value.receiver);
  if (receiver === null) return null;
  return {
    receiver,
    place: text(value.place) ?? receiver,
    status: amount(value.status),
    error: text(value.error),
    tookMs: amount(value.took) ?? 0,
  };
}

/** How receivers stand, and what they were told; null where another server tells them. */
export async function listDeliveries(limit: number, signal?: AbortSignal): Promise<Deliveries | null> {
  try {
    const { body } = await call('GET', `/webhooks/deliveries?limit=${limit}`, undefined, signal);
    return { receivers: all(body.receivers, readReceiver), deliveries: all(body.deliveries, readDelivery) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Has a receiver told once more. */
export async function replay(id: number): Promise<void> {
  await call('POST', `/webhooks/deliveries/${id}/replay`);
}

/** Tells each receiver of nothing, and gives what came of it. */
export async function testReceivers(): Promise<TestResult[]> {
  return all((await call('POST', '/webhooks/test')).body.results, readTest);
}
