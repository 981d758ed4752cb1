import { type FormEvent, useId, useState } from 'react';
import { OwnerLink } from '../access/OwnerLink';
import { SignOut } from '../access/SignOut';
import { mediaServerUrl, messageOf, requestToken } from '../api';
import { texts } from '../texts';
import { Icon } from '../ui/Icon';
import { Logo } from '../ui/Logo';
import type { DeviceChoice } from './devices';
import { Preview } from './Preview';

/** All a call needs to begin. */
export interface Ticket {
  roomName: string;
  participantName: string;
  token: string;
  serverUrl: string;
  devices: DeviceChoice;
}

interface Props {
  initial: { roomName: string; participantName: string; devices: DeviceChoice };
  /** Whoever was invited comes into that room alone. */
  isInvited?: boolean;
  onJoin: (ticket: Ticket) => void;
}

export function JoinPage({ initial, isInvited = false, onJoin }: Props) {
  const [participantName, setParticipantName] = useState(initial.participantName);
  const [roomName, setRoomName] = useState(initial.roomName);
  const [devices, setDevices] = useState(initial.devices);
  const [joining, setJoining] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const nameId = useId();
  const roomId = useId();
  const errorId = useId();

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const person = participantName.trim();
    const room = isInvited ? initial.roomName : roomName.trim();
    if (person === '') return setError(texts.join.nameMissing);
    if (room === '') return setError(texts.join.roomMissing);
    setError(null);
    setJoining(true);
    try {
      const [token, serverUrl] = await Promise.all([requestToken(room, person), mediaServerUrl()]);
      onJoin({ roomName: room, participantName: person, token, serverUrl, devices });
    } catch (error) {
      setError(messageOf(error));
      setJoining(false);
    }
  };

  return (
    <div className="page">
      <header className="page__header">
        <Logo />
        {!isInvited && (
          <div className="page__actions">
            <SignOut />
            <OwnerLink />
            <a className="button button--quiet" href="/recordings.html">
              <Icon name="film" size={20} /> {texts.join.allRecordings}
            </a>
          </div>
        )}
      </header>
      <main className="join">
        <div className="join__intro">
          <h1>{isInvited ? <bdi>{initial.roomName}</bdi> : texts.join.title}</h1>
          <p>{isInvited ? texts.invited.subtitle : texts.join.subtitle}</p>
        </div>
        <Preview choice={devices} onChoice={setDevices} />
        <form className="join__form card" onSubmit={submit} noValidate aria-describedby={errorId}>
          <div className="field">
            <label htmlFor={nameId}>{texts.join.name}</label>
            <input
              id={nameId}
              name="participantName"
              value={participantName}
              maxLength={128}
              autoComplete="off"
              required
              onChange={(event) => setParticipantName(event.target.value)}
            />
          </div>
          {!isInvited && (
            <div className="field">
              <label htmlFor={roomId}>{texts.join.room}</label>
              <input
                id={roomId}
                name="roomName"
                value={roomName}
                maxLength={128}
                autoComplete="off"
                required
                onChange={(event) => setRoomName(event.target.value)}
              />
            </div>
          )}
          <p id={errorId} className="form-error" role="alert">
            {error}
          </p>
          <button type="submit" className="button button--primary button--large" disabled={joining}>
            {joining ? texts.join.joining : texts.join.button}
          </button>
        </form>
      </main>
    </div>
  );
}
