import { type FormEvent, useId, useState } from 'react';
import { SignOut } from '../access/SignOut';
import { type Admission, mediaServerUrl, messageOf, requestToken } from '../api';
import { texts } from '../texts';
import { Icon } from '../ui/Icon';
import { Logo } from '../ui/Logo';
import { ConsentField } from './ConsentField';
import type { DeviceChoice } from './devices';
import { Preview } from './Preview';

/** All a call needs to begin. */
export interface Ticket {
  roomName: string;
  participantName: string;
  token: string;
  serverUrl: string;
  devices: DeviceChoice;
  /** What was answered to being recorded; null where the room does not ask. */
  consent: boolean | null;
}

/** So long the server keeps a name for whoever was given a token for it. */
const NAME_KEPT_MS = 30_000;

/** What the server gave before it was known that the room asks for consent. */
interface Kept {
  admission: Admission;
  room: string;
  person: string;
  at: number;
}

interface Props {
  initial: { roomName: string; participantName: string; devices: DeviceChoice };
  /** Whoever was invited comes into that room alone. */
  isInvited?: boolean;
  /** Whether the room is known to record only those who agree. */
  asksConsent?: boolean;
  onJoin: (ticket: Ticket) => void;
}

export function JoinPage({ initial, isInvited = false, asksConsent = false, onJoin }: Props) {
  const [participantName, setParticipantName] = useState(initial.participantName);
  const [roomName, setRoomName] = useState(initial.roomName);
  const [devices, setDevices] = useState(initial.devices);
  const [asks, setAsks] = useState(asksConsent);
  const [consent, setConsent] = useState<boolean | null>(null);
  const [kept, setKept] = useState<Kept | null>(null);
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
    if (asks && consent === null) return setError(texts.consent.missing);
    setError(null);
    setJoining(true);
    const isKept = kept?.room === room && kept.person === person && Date.now() - kept.at < NAME_KEPT_MS;
    try {
      const [admission, serverUrl] = await Promise.all([
        isKept ? kept.admission : requestToken(room, person),
        mediaServerUrl(),
      ]);
      if (admission.asksConsent && consent === null) {
        setKept({ admission, room, person, at: Date.now() });
        setAsks(true);
        setJoining(false);
        return setError(texts.consent.missing);
      }
      const { token } = admission;
      const said = admission.asksConsent ? consent : null;
      onJoin({ roomName: room, participantName: person, token, serverUrl, devices, consent: said });
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
                onChange={(event) => {
                  setRoomName(event.target.value);
                  // Another room may ask nothing, and what was said is for one room.
                  setAsks(false);
                  setConsent(null);
                }}
              />
            </div>
          )}
          {asks && <ConsentField value={consent} onChange={setConsent} />}
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
