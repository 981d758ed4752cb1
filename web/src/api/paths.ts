/** Under what path the server has a thing: whatever is in a name stays in one segment. `base.ts` knows where that path is found. */

export const fileUrl = (name: string): string => `/recordings/${encodeURIComponent(name)}`;
export const roomUrl = (name: string): string => `/rooms/${encodeURIComponent(name)}`;
