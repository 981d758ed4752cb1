import { useState } from 'react';
import { deleteRoom, messageOf, type OwnRoom, ROLES } from '../api';
import { texts } from '../texts';
import { ConfirmDialog } from '../ui/ConfirmDialog';
import { LinkRow } from './LinkRow';
import { RoomSettings } from './RoomSettings';

interface Props {
  room: OwnRoom;
  onChanged: (room: OwnRoom) => void;
  onDeleted: () => void;
  onProblem: (text: string) => void;
}

/** A room with its links and what is set of it. */
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
    try {
      await deleteRoom(room.name);
      onDeleted();
    } catch (error) {
      onProblem(messageOf(error));
      setDeleting(false);
    }
  };

  return (
    <li className="rooms__room" data-room={room.name}>
      <div className="rooms__head">
        <h3>
          <bdi>{room.name}</bdi>
        </h3>
        <button
          type="button"
          className="button button--quiet button--remove"
          aria-label={texts.rooms.deleteNamed(room.name)}
          onClick={() => setDeleting(true)}
        >
          {texts.rooms.delete}
        </button>
      </div>
      {ROLES.map((role) => (
        <LinkRow key={role} room={room} role={role} onChanged={onChanged} onProblem={onProblem} />
      ))}
      <RoomSettings room={room} busy={busy} attempt={attempt} />
      {deleting && (
        <ConfirmDialog
          title={texts.rooms.deleteTitle}
          confirm={texts.rooms.delete}
          cancel={texts.rooms.keep}
          onConfirm={remove}
          onClose={() => setDeleting(false)}
        >
          <p>
            <strong>
              <bdi>{room.name}</bdi>
            </strong>
          </p>
          <p>{texts.rooms.deleteHint}</p>
        </ConfirmDialog>
      )}
    </li>
  );
}
