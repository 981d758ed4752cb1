/** Links to a recording, as they are told. Pure. */
import type { Share } from '../api';
import * as format from '../format';
import { texts } from '../texts';

/** Days that a link lasts; 0: until it is revoked. */
export const LASTS = [1, 7, 30, 0] as const;
export type Lasts = (typeof LASTS)[number];

/** Whether it opens anything. */
export const isOver = ({ revokedAt, expiresAt }: Share, now: number): boolean =>
  revokedAt !== null || (expiresAt !== null && expiresAt <= now);

/** What there is to say of it, besides its name. */
export function facts(share: Share, now: number): string[] {
  const over = isOver(share, now);
  const ended = share.revokedAt === null ? texts.share.expired : texts.share.revoked;
  return [
    over ? ended : null,
    share.download ? texts.share.downloads : texts.share.plays,
    share.hasPassword ? texts.share.locked : null,
    !over && share.expiresAt !== null ? texts.share.until(format.date(share.expiresAt)) : null,
    texts.share.opened(share.views),
    !over && share.watching > 0 ? texts.share.watching(share.watching) : null,
  ].filter((fact) => fact !== null);
}

/** How far somebody came, of a file of so many bytes where that is known. */
export function reached(bytes: number, size: number | null): string {
  if (size === null || size === 0) return format.size(bytes);
  return `${Math.min(100, Math.round((100 * bytes) / size))} %`;
}
