/** How values are read that the server told: each of them is unknown until it is looked at. */

export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
export const text = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value : null;
export const amount = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
/** Those of a list that are texts. */
export const words = (value: unknown): string[] =>
  list(value)
    .map(text)
    .filter((word) => word !== null);

/** What `read` makes of each of a list; what it makes nothing of is left out. */
export function all<T>(value: unknown, read: (value: Json) => T | null): T[] {
  return list(value).flatMap((one): T[] => {
    const made = isObject(one) ? read(one) : null;
    return made === null ? [] : [made];
  });
}
