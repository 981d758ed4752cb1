/** What is set of a room, as it is ticked and typed. Pure. */

/** As many as the server's number can be. */
const MOST_PEOPLE = 2 ** 32 - 1;

/** What is granted once `right` is ticked, or is not any more. */
export function toggled(granted: readonly string[], right: string, isGranted: boolean): string[] {
  const others = granted.filter((other) => other !== right);
  return isGranted ? [...others, right] : others;
}

/** How many people a text says: 0 where it says nothing, as many as the server takes; null where it is no number of people. */
export function readPeople(typed: string): number | null {
  const text = typed.trim();
  if (text === '') return 0;
  if (!/^\d+$/.test(text)) return null;
  const people = Number(text);
  return people <= MOST_PEOPLE ? people : null;
}
