import { type FormEvent, useEffect, useId, useRef, useState } from 'react';
import { OwnerLink } from '../access/OwnerLink';
import { SignOut } from '../access/SignOut';
import {
  type Admission,
  address,
  type Knock,
  mediaServerUrl,
  messageOf,
  requestToken,
  type Turn,
} from '../api';
import { texts } from '../texts';
import { Icon } from '../ui/Icon';
import { Logo } from '../ui/Logo';
import { ConsentField } from './ConsentField';
import type { DeviceChoice } from './devices';
import { waitToBeLetIn } from './lobby';
import { Preview } from './Preview';
import { patiently } from './patience';
import { Waiting } from './Waiting';

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
/** Whoever was let in by a host is not to wait again: their token lasts twice as long. */
const LET_IN_MS = 5 * 60_000;

/** What the server gave before it was known that the room asks for consent. */
interface Kept {
  admission: Admission;
  room: string;
  person: string;
  /** Until when it is used, by this machine's clock. */
  until: number;
}

interface Props {
  initial: { roomName: string; participantName: string; devices: DeviceChoice };
  /** Whoever was invited comes into that room alone. */
  isInvited?: boolean;
  /** Whether a host lets them in. */
  waits?: boolean;
  /** Whether the room is known to record only those who agree. */
  asksConsent?: boolean;
  onJoin: (ticket: Ticket) => void;
}

export function JoinPage({ initial, isInvited = false, waits = false, asksConsent = false, onJoin }: Props) {
  const [participantName, setParticipantName] = useState(initial.participantName);
  const [roomName, setRoomName] = useState(initial.roomName);
  const [devices, setDevices] = useState(initial.devices);
  /** As it is when they come in, and not when they began to wait. */
  const chosen = useRef(initial.devices);
  const [asks, setAsks] = useState(asksConsent);
  const [consent, setConsent] = useState<boolean | null>(null);
  const [kept, setKept] = useState<Kept | null>(null);
  const [joining, setJoining] = useState(false);
  const [error, setError] = useState<string | null>(null);
  /** How it stands with them while they wait to be let in. */
  const [turn, setTurn] = useState<Turn | null>(null);
  /** The server is away, and is asked again. */
  const [away, setAway] = useState(false);
  const waiting = useRef<AbortController | null>(null);
  const left = useRef(new AbortController());
  const nameId = useId();
  const roomId = useId();
  const errorId = useId();

  useEffect(() => {
    const here = new AbortController();
    left.current = here;
    return () => {
      here.abort();
      waiting.current?.abort();
    };
  }, []);

  const choose = (choice: DeviceChoice) => {
    chosen.current = choice;
    setDevices(choice);
  };

  /** Waits until a host lets them in; null: they are not. */
  const wait = async (knock: Knock, person: string): Promise<Admission | null> => {
    waiting.current = new AbortController();
    const { signal } = waiting.current;
    const tell = (turn: Turn) => {
      if (!signal.aborted) setTurn(turn);
    };
    tell('waiting');
    const admission = await waitToBeLetIn({ knock, participantName: person, onTurn: tell, signal });
    if (admission === null && !signal.aborted) setError(texts.lobby.refused);
    return admission;
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const person = participantName.trim();
    const room = isInvited ? initial.roomName : roomName.trim();
    if (person === '') return setError(texts.join.nameMissing);
    if (room === '') return setError(texts.join.roomMissing);
    if (asks && consent === null) return setError(texts.consent.missing);
    setError(null);
    setJoining(true);
    const isKept = kept?.room === room && kept.person === person && Date.now() < kept.until;
    const patience = { onAway: () => setAway(true), signal: left.current.signal };
    try {
      const [entry, serverUrl] = await Promise.all([
        isKept ? kept.admission : patiently(() => requestToken(room, person), patience),
        patiently(mediaServerUrl, patience),
      ]);
      setAway(false);
      const admission = 'token' in entry ? entry : await wait(entry, person);
      if (admission?.asksConsent && consent === null) {
        const keptFor = 'token' in entry ? NAME_KEPT_MS : LET_IN_MS;
        setKept({ admission, room, person, until: Date.now() + keptFor });
        setAsks(true);
        setError(texts.consent.missing);
      } else if (admission !== null) {
        const { token } = admission;
        const said = admission.asksConsent ? consent : null;
        return onJoin({
          roomName: room,
          participantName: person,
          token,
          serverUrl,
          devices: chosen.current,
          consent: said,
        });
      }
    } catch (error) {
      setError(messageOf(error));
    }
    setAway(false);
    setTurn(null);
    setJoining(false);
  };

  return (
    <div className="page">
      <header className="page__header">
        <Logo />
        {!isInvited && (
          <div className="page__actions">
            <SignOut />
            <OwnerLink />
            <a className="button button--quiet" href={address('/recordings.html')}>
              <Icon name="film" size={20} /> {texts.join.allRecordings}
            </a>
          </div>
        )}
      </header>
      <main className="join">
        <div className="join__intro">
          <h1>{isInvited ? <bdi>{initial.roomName}</bdi> : texts.join.title}</h1>
          <p>
            {isInvited ? texts.invited.subtitle : texts.join.subtitle} {waits && texts.lobby.hint}
          </p>
        </div>
        <Preview choice={devices} onChoice={choose} />
        {turn !== null && <Waiting turn={turn} onCancel={() => waiting.current?.abort()} />}
        <form
          className="join__form card"
          hidden={turn !== null}
          onSubmit={submit}
          noValidate
          aria-describedby={errorId}
        >
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
            {away ? texts.join.away : joining ? texts.join.joining : texts.join.button}
          </button>
        </form>
      </main>
    </div>
  );
}
