/** Numbers as people read them. */

/** `0:07`, `12:34`, `1:02:03`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pair = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${pair(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${pair(minutes % 60)}:${pair(whole % 60)}`;
}

/** `812 B`, `4.2 MB`: thousands, as download managers count. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit > 0 && value < 99.5 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const date = (unixMs: number): string => day.format(unixMs);

const second = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** To the second. */
export const moment = (unixMs: number): string => second.format(unixMs);

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });

/** The time of day alone. */
export const timeOfDay = (unixMs: number): string => clock.format(unixMs);

/** Codecs as they write themselves: `VP8`, `H264`, `Opus`. */
export const codec = (name: string): string => (name === 'opus' ? 'Opus' : name.toUpperCase());

/** One or two letters for a picture of somebody without a camera. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...(word ?? '?')][0]?.toUpperCase() ?? '?').join('');
}

/** The same hue (0 to 359) for the same name, everywhere. */
export function hue(name: string): number {
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return (hash * 47) % 360;
}

/** Milliseconds since 1970 in so many days; null where it is never. */
export function inDays(days: number, now: number): number | null {
  return days === 0 ? null : now + days * 24 * 60 * 60 * 1000;
}
