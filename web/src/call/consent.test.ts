import { describe, expect, it } from 'vitest';
import { CONSENT, consentIn, isLeftOut } from './consent';

describe('what somebody said to being recorded', () => {
  it('is read from their attributes, and nothing where the room does not ask', () => {
    expect(consentIn(undefined)).toBeNull();
    expect(consentIn({ role: 'yes' })).toBeNull();
    expect(consentIn({ [CONSENT]: 'perhaps' })).toBeNull();
    for (const word of ['asked', 'yes', 'no']) expect(consentIn({ [CONSENT]: word })).toBe(word);
  });

  it('leaves out whoever is asked and has not agreed, and nobody else', () => {
    expect(([null, 'asked', 'yes', 'no'] as const).map(isLeftOut)).toEqual([false, true, false, true]);
  });
});
