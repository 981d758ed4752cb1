import { describe, expect, it } from 'vitest';
import { setupSecret } from '../access/gateState';
import { SECTIONS, sectionOf } from './sections';

describe('the parts of the page', () => {
  it('are found by what stands behind the "#"', () => {
    for (const section of SECTIONS) expect(sectionOf(`#${section}`)).toBe(section);
    for (const hash of ['', '#', '#nothing', '#Now', '#setup=aB-_9', 'rooms']) {
      expect(sectionOf(hash)).toBe('now');
    }
  });

  it('are no links that set a password', () => {
    for (const section of SECTIONS) expect(setupSecret(`#${section}`)).toBeNull();
  });
});
