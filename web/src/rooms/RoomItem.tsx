import { useState } from 'react';
import {
  deleteRoom,
  messageOf,
  type OwnRoom,
  ROLES,
  type Role,
  renewLink,
  revokeLink,
  setGuests,
} from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';
import { RecordingSettings } from './RecordingSettings';

const RIGHTS = Object.entries(texts.rooms.rights);

interface Props {
  room: OwnRoom;
  onChanged: (room: OwnRoom) => void;
  onDeleted: () => void;
  onProblem: (text: string) => void;
}

/** A room with its links, what guests may do in it, and what is set of its recordings. */
export function RoomItem({ room, onChanged, onDeleted, onProblem }: Props) {
  const [busy, setBusy] = useState(false);
  const [deleting, setDeleting] = useState(false);

  const attempt = async (change: () => Promise<OwnRoom>) => {
    setBusy(true);
    try {
      onChanged(await change());
    } catch (error) {
      onProblem(messageOf(error));
    }
    setBusy(false);
  };

  const remove = async () => {
    setBusy(true);
    try {
      await deleteRoom(room.name);
      onDeleted();
    } catch (error) {
      onProblem(messageOf(error));
      setDeleting(false);
      setBusy(false);
    }
  };

  const grant = (right: string, isGranted: boolean) => {
    const others = room.guests.filter((other) => other !== right);
    return attempt(() => setGuests(room.name, isGranted ? [...others, right] : others));
  };

  return (
    <li className="rooms__room" data-room={room.name}>
      <div className="rooms__head">
        <h3>
          <bdi>{room.name}</bdi>
        </h3>
        <button
          type="button"
          className="button button--quiet"
          aria-label={texts.rooms.deleteNamed(room.name)}
          disabled={busy}
          onClick={() => setDeleting(true)}
        >
          {texts.rooms.delete}
        </button>
      </div>
      {ROLES.map((role) => (
        <LinkRow key={role} room={room} role={role} busy={busy} attempt={attempt} onProblem={onProblem} />
      ))}
      <fieldset className="rooms__guests" disabled={busy}>
        <legend>{texts.rooms.guestsMay}</legend>
        {RIGHTS.map(([right, name]) => (
          <label key={right}>
            <input
              type="checkbox"
              checked={room.guests.includes(right)}
              onChange={(event) => void grant(right, event.target.checked)}
            />{' '}
            {name}
          </label>
        ))}
      </fieldset>
      <RecordingSettings room={room} busy={busy} attempt={attempt} />
      {deleting && (
        <Dialog title={texts.rooms.deleteTitle} className="dialog--small" onClose={() => setDeleting(false)}>
          <p>
            <strong>
              <bdi>{room.name}</bdi>
            </strong>
          </p>
          <p>{texts.rooms.deleteHint}</p>
          <div className="row row--end">
            <button type="button" className="button" onClick={() => setDeleting(false)}>
              {texts.rooms.keep}
            </button>
            <button type="button" className="button button--danger" disabled={busy} onClick={remove}>
              {texts.rooms.delete}
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}

interface LinkProps {
  room: OwnRoom;
  role: Role;
  busy: boolean;
  attempt: (change: () => Promise<OwnRoom>) => Promise<void>;
  onProblem: (text: string) => void;
}

function LinkRow({ room, role, busy, attempt, onProblem }: LinkProps) {
  const [copied, setCopied] = useState<string | null>(null);
  const link = room.links.find((link) => link.role === role);
  const what = texts.rooms.link[role];
  const address = link?.path ? new URL(link.path, window.location.href).href : null;

  const copy = async () => {
    if (address === null) return;
    try {
      await navigator.clipboard.writeText(address);
      setCopied(address);
    } catch {
      // Without https browsers copy for nobody: the address can be marked in its field.
      onProblem(address);
    }
  };

  return (
    <div className="rooms__link" data-role={role}>
      <span className="rooms__what">{what}</span>
      {address !== null ? (
        <input readOnly value={address} aria-label={what} onFocus={(event) => event.target.select()} />
      ) : (
        <span className="access__hint">{link ? texts.rooms.unshowable : texts.rooms.none}</span>
      )}
      {link && link.expiresAt !== null && (
        <span className="access__hint">{texts.rooms.expires(format.date(link.expiresAt))}</span>
      )}
      <div className="rooms__acts">
        {address !== null && (
          <button
            type="button"
            className="button"
            aria-label={texts.rooms.copyNamed(what, room.name)}
            onClick={copy}
          >
            {copied === address ? texts.rooms.copied : texts.rooms.copy}
          </button>
        )}
        <button
          type="button"
          className="button"
          aria-label={texts.rooms.renewNamed(what, room.name)}
          disabled={busy}
          onClick={() => void attempt(() => renewLink(room.name, role))}
        >
          {texts.rooms.renew}
        </button>
        {link && (
          <button
            type="button"
            className="button"
            aria-label={texts.rooms.revokeNamed(what, room.name)}
            disabled={busy}
            onClick={() => void attempt(() => revokeLink(room.name, role))}
          >
            {texts.rooms.revoke}
          </button>
        )}
      </div>
    </div>
  );
}
