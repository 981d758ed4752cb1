import { useRef, useState } from 'react';
import { messageOf, type OwnRoom, type Role, renewLink, revokeLink } from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { CopyButton } from '../ui/CopyButton';
import { type LinkAct, LinkDialog } from './LinkDialog';

interface Props {
  room: OwnRoom;
  role: Role;
  onChanged: (room: OwnRoom) => void;
  onProblem: (text: string) => void;
}

/** One of a room's links: shown, copied, made, renewed and revoked. */
export function LinkRow({ room, role, onChanged, onProblem }: Props) {
  const [asked, setAsked] = useState<LinkAct | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const link = room.links.find((link) => link.role === role);
  const what = texts.rooms.link[role];
  const address = link?.path ? new URL(link.path, window.location.href).href : null;

  const act = async (how: LinkAct, expiresAt: number | null) => {
    try {
      const changed = how === 'revoke' ? revokeLink(room.name, role) : renewLink(room.name, role, expiresAt);
      onChanged(await changed);
    } catch (error) {
      onProblem(messageOf(error));
    }
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
          aria-label={(link ? texts.rooms.renewNamed : texts.rooms.makeLinkNamed)(what, room.name)}
          onClick={() => setAsked(link ? 'renew' : 'make')}
        >
          {link ? texts.rooms.renew : texts.rooms.makeLink}
        </button>
        {link && (
          <button
            type="button"
            className="button"
            aria-label={texts.rooms.revokeNamed(what, room.name)}
            onClick={() => setAsked('revoke')}
          >
            {texts.rooms.revoke}
          </button>
        )}
      </div>
      {asked !== null && (
        <LinkDialog
          act={asked}
          what={what}
          roomName={room.name}
          onConfirm={(expiresAt) => act(asked, expiresAt)}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}
