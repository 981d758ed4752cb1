/** The audit log. */
import { call } from '../client';
import { all, amount, isObject, type Json, text } from '../values';

/** Who did something, or what it was done to. */
export interface Named {
  kind: string;
  id: string | null;
  name: string | null;
}

/** An act on a recording or a right. */
export interface Act {
  id: number;
  /** Milliseconds since 1970. */
  at: number;
  act: string;
  hasFailed: boolean;
  who: Named | null;
  address: string | null;
  on: Named | null;
  detail: string | null;
  /** Why it failed. */
  reason: string | null;
}

/** The same thing, refused to somebody so many times. */
export interface Refusal {
  act: string;
  who: Named | null;
  address: string | null;
  on: Named | null;
  reason: string | null;
  count: number;
  /** Milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
}

export interface AuditPage {
  /** Newest first. */
  acts: Act[];
  /** Of the first page: newest first. */
  refusals: Refusal[];
  /** Where older ones begin; null where there are none. A page may have nothing in it and older ones behind it. */
  next: number | null;
  /** Acts that wait for the disk, and that found no place because it took nothing. */
  unwritten: number;
  lost: number;
  /** Why they are not written down. */
  trouble: string | null;
}

function readNamed(value: unknown): Named | null {
  if (!isObject(value)) return null;
  const kind = text(value.kind);
  return kind === null ? null : { kind, id: text(value.id), name: text(value.name) };
}

function readAct(value: Json): Act | null {
  const [id, act] = [amount(value.id), text(value.act)];
  if (id === null || act === null) return null;
  return {
    id,
    at: amount(value.at) ?? 0,
    act,
    hasFailed: value.outcome === 'failed',
    who: readNamed(value.who),
    address: text(value.address),
    on: readNamed(value.on),
    detail: text(value.detail),
    reason: text(value.reason),
  };
}

function readRefusal(value: Json): Refusal | null {
  const act = text(value.act);
  if (act === null) return null;
  return {
    act,
    who: readNamed(value.who),
    address: text(value.address),
    on: readNamed(value.on),
    reason: text(value.reason),
    count: amount(value.count) ?? 1,
    firstAt: amount(value.firstAt) ?? 0,
    lastAt: amount(value.lastAt) ?? 0,
  };
}

/** A page of the audit log as the server tells it. */
export function readAudit(body: Json): AuditPage {
  return {
    acts: all(body.entries, readAct),
    refusals: all(body.refusals, readRefusal),
    next: amount(body.next),
    unwritten: amount(body.unwritten) ?? 0,
    lost: amount(body.lost) ?? 0,
    trouble: text(body.trouble),
  };
}

/** Acts in which `q` stands, before the one of that number where there is one. */
export async function audit(q: string, before: number | null, signal?: AbortSignal): Promise<AuditPage> {
  const parameters = new URLSearchParams({ limit: '50' });
  if (q !== '') parameters.set('q', q);
  if (before !== null) parameters.set('before', String(before));
  return readAudit((await call('GET', `/audit?${parameters}`, undefined, signal)).body);
}
