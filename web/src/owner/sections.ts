/** The parts of the owner's page, each at an address of its own behind the "#". Pure. */

export const SECTIONS = [
  'now',
  'rooms',
  'links',
  'sessions',
  'keys',
  'receivers',
  'audit',
  'settings',
] as const;
export type SectionId = (typeof SECTIONS)[number];

/** The part that an address shows; the first where it names none. */
export function sectionOf(hash: string): SectionId {
  return SECTIONS.find((section) => `#${section}` === hash) ?? SECTIONS[0];
}
