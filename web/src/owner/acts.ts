/** The audit log as it is read: pages that come one after the other, and words for what stands in them. Pure. */
import type { Act, AuditPage, Named } from '../api/owner';
import { texts } from '../texts';
import { worded } from './worded';

/** `older` behind what is shown. An act that both have stands there once, and what the newest page says of the log itself stays. */
export function withOlder(shown: AuditPage, older: AuditPage): AuditPage {
  const known = new Set(shown.acts.map(({ id }) => id));
  const news = older.acts.filter(({ id }) => !known.has(id));
  return { ...shown, acts: [...shown.acts, ...news], next: older.next };
}

export const what = (act: string): string => worded(texts.audit.what, act);

/** `Guest Ada`; by what it is called where there is no name. */
export function who(named: Named | null): string {
  if (named === null) return '';
  return [worded(texts.audit.who, named.kind), named.name ?? named.id].filter(Boolean).join(' ');
}

/** `room Standup`; `participant Ada in Standup`. */
export function on(named: Named | null): string {
  if (named === null) return '';
  const { kind, id, name } = named;
  const thing = worded(texts.audit.on, kind);
  // Whoever is in a room is known by the identity there, and the name is the room's.
  const which = kind === 'participant' && id && name ? texts.audit.inRoom(id, name) : (name ?? id);
  return [thing, which].filter(Boolean).join(' ');
}

/** What there is to say of an act besides what it was: to what it was done, and a few words more. */
export function about({ on: named, detail }: Pick<Act, 'on' | 'detail'>): string {
  return [on(named), detail].filter(Boolean).join(', ');
}
