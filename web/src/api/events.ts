/** What the server tells of recordings by itself, as it happens. */
import { texts } from '../texts';
import { address } from './base';
import { ApiError, refusal } from './client';
import { loseSession, proofFor } from './proof';
import { type Recording, readRecording } from './recordings';
import { isObject, text } from './values';

/** What whoever follows is told. */
export type Told =
  /** What changed is not known: the list has to be read. */
  | { kind: 'reload' }
  | { kind: 'changed'; recording: Recording }
  /** It is listed no longer, or no longer under this name. */
  | { kind: 'deleted'; name: string };

/** An event as the server tells it; null for one that says nothing of recordings. */
export function readTold(kind: string, data: string): Told | null {
  if (kind === 'reload') return { kind };
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (kind === 'recording.changed') {
    const recording = readRecording(value);
    return recording && { kind: 'changed', recording };
  }
  const name = kind === 'recording.deleted' && isObject(value) ? text(value.name) : null;
  return name === null ? null : { kind: 'deleted', name };
}

/** A stream of what happens to recordings, after the event `lastId`. */
export async function openEvents(
  lastId: string | null,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const headers: Record<string, string> = { Accept: 'text/event-stream', ...proofFor('GET') };
  if (lastId !== null) headers['Last-Event-ID'] = lastId;
  let response: Response;
  try {
    response = await fetch(address('/events'), { headers, signal, cache: 'no-store' });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(texts.errors.network, 0);
  }
  if (response.ok && response.body !== null) return response.body;
  if (response.status === 401) loseSession();
  throw refusal(response.status, await response.json().catch(() => null));
}
