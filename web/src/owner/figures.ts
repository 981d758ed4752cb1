/** Figures of the server, as people read them. Pure. */
import { texts } from '../texts';

/** How long the disk still lasts: rounded down, for what is promised has to hold. */
export function roomFor(hours: number): string {
  if (hours < 1) return texts.now.minutes(Math.floor(hours * 60));
  if (hours < 48) return texts.now.hours(Math.floor(hours));
  return texts.now.days(Math.floor(hours / 24));
}
