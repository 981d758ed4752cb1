/** Whether the page may be seen. Pure. */

/**
 * - `asking`: it is not known yet
 * - `open`: nobody has to sign in
 * - `out`: somebody has to, before anything is shown
 * - `in`: somebody has
 * - `over`: they are not signed in any more; what is on the page stays, a call too, behind the form
 */
export type GateState = 'asking' | 'open' | 'out' | 'in' | 'over';

/** What happens: access is open, somebody is or is not signed in, or the server did not know who asked. */
export type GateEvent = 'open' | 'in' | 'out' | 'refused';

export function next(gate: GateState, event: GateEvent): GateState {
  if (event === 'refused') return gate === 'in' || gate === 'open' ? 'over' : gate;
  return event;
}

/** What a link that sets the password has behind its "#"; null where it is none. */
export function setupSecret(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, '')).get('setup') || null;
}
