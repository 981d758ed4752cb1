import { describe, expect, it } from 'vitest';
import { type Act, type AuditPage, readAudit } from '../api/owner';
import { about, on, what, who, withOlder } from './acts';

const act = (id: number): Act => ({
  id,
  at: 1,
  act: 'key.made',
  hasFailed: false,
  who: null,
  address: null,
  on: null,
  detail: null,
  reason: null,
});

describe('the audit log', () => {
  it('grows at its end, and says nothing twice', () => {
    const first: AuditPage = { ...readAudit({}), acts: [act(9), act(8)], next: 8, unwritten: 1 };
    const second: AuditPage = { ...readAudit({}), acts: [act(8), act(7)], next: 7 };
    const both = withOlder(first, second);
    expect(both.acts.map(({ id }) => id)).toEqual([9, 8, 7]);
    expect(both).toMatchObject({ next: 7, unwritten: 1 });
    // A page may be empty, and older ones behind it.
    const empty = withOlder(both, { ...readAudit({}), next: 3 });
    expect(empty.acts).toHaveLength(3);
    expect(empty.next).toBe(3);
    expect(withOlder(empty, readAudit({})).next).toBeNull();
  });

  it('is in words, and in those of the server where no others are known', () => {
    expect(what('key.revoked')).toBe('Key revoked');
    expect([what('moon.landed'), what('toString')]).toEqual(['moon.landed', 'toString']);
    expect(who({ kind: 'guest', id: 'RL_1', name: 'Ada' })).toBe('Guest Ada');
    expect(who({ kind: 'owner', id: 'SE_1', name: null })).toBe('Owner SE_1');
    expect(who({ kind: 'server', id: null, name: null })).toBe('Reelroom');
    expect(who({ kind: 'robot', id: null, name: null })).toBe('robot');
    expect(who(null)).toBe('');
    expect(on({ kind: 'room', id: null, name: 'Standup' })).toBe('room Standup');
    expect(on({ kind: 'route', id: null, name: 'DELETE /rooms/{name}' })).toBe('DELETE /rooms/{name}');
    expect(on({ kind: 'participant', id: 'Ada', name: 'Standup' })).toBe('participant Ada in Standup');
    expect(on({ kind: 'share', id: 'SH_1', name: 'a.mp4' })).toBe('link to a.mp4');
    const key = { kind: 'key', id: 'rr_8', name: 'backup' };
    expect(about({ on: key, detail: 'rights: list' })).toBe('key backup, rights: list');
    expect(about({ on: null, detail: null })).toBe('');
  });
});
