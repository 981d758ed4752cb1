import { describe, expect, it } from 'vitest';
import { next, setupSecret } from './gateState';

describe('the gate', () => {
  it('shows the page to whoever is signed in, and to everybody where nobody has to', () => {
    expect(next('asking', 'open')).toBe('open');
    expect(next('asking', 'in')).toBe('in');
    expect(next('asking', 'out')).toBe('out');
    expect(next('out', 'in')).toBe('in');
    expect(next('in', 'out')).toBe('out');
  });

  it('keeps what is on the page when the server does not know its reader any more', () => {
    expect(next('in', 'refused')).toBe('over');
    expect(next('over', 'refused')).toBe('over');
    expect(next('over', 'in')).toBe('in');
    // The mode could not be asked for, and it was by invitation.
    expect(next('open', 'refused')).toBe('over');
  });

  it('shows nothing because of a refusal', () => {
    expect(next('asking', 'refused')).toBe('asking');
    expect(next('out', 'refused')).toBe('out');
  });

  it('finds the secret of a link and nothing else', () => {
    expect(setupSecret('#setup=aB-_9')).toBe('aB-_9');
    for (const hash of ['', '#', '#setup', '#setup=', '#other=1', '#/setup']) {
      expect(setupSecret(hash)).toBeNull();
    }
  });
});
