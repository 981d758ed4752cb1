/** The attribute of a participant by which everybody sees what they said to being recorded. */
export const CONSENT = 'reelroom.consent';

const WORDS = ['asked', 'yes', 'no'] as const;
export type Consent = (typeof WORDS)[number];

/** What somebody said; null where the room does not ask. */
export const consentIn = (attributes: Readonly<Record<string, string>> | undefined): Consent | null =>
  WORDS.find((word) => word === attributes?.[CONSENT]) ?? null;

/** Whether recordings leave somebody out. */
export const isLeftOut = (consent: Consent | null): boolean => consent === 'asked' || consent === 'no';
