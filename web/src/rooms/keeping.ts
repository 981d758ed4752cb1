/** For how long a room keeps its recordings. Pure. */

/** Days that are offered. */
const OFFERED: readonly number[] = [1, 7, 14, 30, 90, 180, 365];

/** What can be chosen, with what is set now among it, the longest in front; null: until somebody deletes them. */
export function choices(set: number | null): (number | null)[] {
  const all = new Set(set === null ? OFFERED : [...OFFERED, set]);
  return [null, ...[...all].sort((one, other) => other - one)];
}

/** Whether recordings go sooner than before, so that whoever wants it should see what that deletes. */
export const isSooner = (days: number | null, before: number | null): days is number =>
  days !== null && (before === null || days < before);

/** What a select says was chosen. */
export const chosen = (value: string): number | null => {
  const days = Number(value);
  return Number.isInteger(days) && days > 0 ? days : null;
};
