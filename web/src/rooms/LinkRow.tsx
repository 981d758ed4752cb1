import { useRef, useState } from 'react';
import { messageOf, type OwnRoom, type Role, renewLink, revokeLink } from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { ConfirmDialog } from '../ui/ConfirmDialog';
import { CopyButton } from '../ui/CopyButton';

interface Props {
  room: OwnRoom;
  role: Role;
  onChanged: (room: OwnRoom) => void;
  onProblem: (text: string) => void;
}

/** One of a room's links: shown, copied, renewed and revoked. */
export function LinkRow({ room, role, onChanged, onProblem }: Props) {
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState<'renew' | 'revoke' | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const link = room.links.find((link) => link.role === role);
  const what = texts.rooms.link[role];
  const address = link?.path ? new URL(link.path, window.location.href).href : null;

  const act = async (how: 'renew' | 'revoke') => {
    setBusy(true);
    try {
      onChanged(await (how === 'renew' ? renewLink : revokeLink)(room.name, role));
    } catch (error) {
      onProblem(messageOf(error));
    }
    setBusy(false);
    setAsked(null);
  };

  return (
    <div className="rooms__link" data-role={role}>
      <span className="rooms__what">{what}</span>
      {address !== null ? (
        <input
          ref={field}
          className="input input--small"
          readOnly
          value={address}
          aria-label={what}
          onFocus={(event) => event.target.select()}
        />
      ) : (
        <span className="access__hint">{link ? texts.rooms.unshowable : texts.rooms.none}</span>
      )}
      {link && link.expiresAt !== null && (
        <span className="access__hint">{texts.rooms.expires(format.date(link.expiresAt))}</span>
      )}
      <div className="rooms__acts">
        {address !== null && (
          <CopyButton value={address} field={field} label={texts.rooms.copyNamed(what, room.name)} />
        )}
        <button
          type="button"
          className="button"
          aria-label={texts.rooms.renewNamed(what, room.name)}
          disabled={busy}
          onClick={() => (link ? setAsked('renew') : void act('renew'))}
        >
          {link ? texts.rooms.renew : texts.rooms.makeLink}
        </button>
        {link && (
          <button
            type="button"
            className="button"
            aria-label={texts.rooms.revokeNamed(what, room.name)}
            disabled={busy}
            onClick={() => setAsked('revoke')}
          >
            {texts.rooms.revoke}
          </button>
        )}
      </div>
      {asked !== null && (
        <ConfirmDialog
          title={texts.rooms.askTitle[asked]}
          confirm={texts.rooms[asked]}
          onConfirm={() => act(asked)}
          onClose={() => setAsked(null)}
        >
          <p>
            {what}: <bdi>{room.name}</bdi>
          </p>
          <p>{texts.rooms.askHint[asked]}</p>
        </ConfirmDialog>
      )}
    </div>
  );
}
