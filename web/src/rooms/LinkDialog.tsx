import { useId, useState } from 'react';
import { inDays } from '../format';
import { texts } from '../texts';
import { ConfirmDialog } from '../ui/ConfirmDialog';

/** What becomes of a link. */
export type LinkAct = 'make' | 'renew' | 'revoke';

/** Days that a link lasts; 0: until it is revoked. */
const LASTS = [0, 1, 7, 30] as const;
type Lasts = (typeof LASTS)[number];

interface Props {
  act: LinkAct;
  /** Which link it is. */
  what: string;
  roomName: string;
  /** `expiresAt`: of the new link, ms since 1970; null: it lasts until it is revoked. */
  onConfirm: (expiresAt: number | null) => Promise<void>;
  onClose: () => void;
}

/** Asks how long a link is to last that is made, and whether one may be taken from those who came by it. */
export function LinkDialog({ act, what, roomName, onConfirm, onClose }: Props) {
  const [lasts, setLasts] = useState<Lasts>(0);
  const id = useId();

  return (
    <ConfirmDialog
      title={texts.rooms.askTitle[act]}
      confirm={texts.rooms.askConfirm[act]}
      isHarmless={act === 'make'}
      onConfirm={() => onConfirm(act === 'revoke' ? null : inDays(lasts, Date.now()))}
      onClose={onClose}
    >
      <p>
        {what}: <bdi>{roomName}</bdi>
      </p>
      <p>{texts.rooms.askHint[act]}</p>
      {act !== 'revoke' && (
        <div className="field">
          <label htmlFor={id}>{texts.rooms.lasts}</label>
          <select
            id={id}
            value={lasts}
            onChange={(event) => setLasts(LASTS.find((days) => String(days) === event.target.value) ?? 0)}
          >
            {LASTS.map((days) => (
              <option key={days} value={days}>
                {texts.share.lasts[days]}
              </option>
            ))}
          </select>
        </div>
      )}
    </ConfirmDialog>
  );
}
