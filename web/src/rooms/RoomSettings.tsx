import { type FormEvent, type ReactNode, useId, useRef, useState } from 'react';
import { changeRoom, type OwnRoom, type RoomChange } from '../api';
import { texts } from '../texts';
import { RecordingSettings } from './RecordingSettings';
import { readPeople, toggled } from './settings';

export interface FieldProps {
  room: OwnRoom;
  /** Something is being changed. */
  busy: boolean;
  /** Has the server change something of it, and says what is wrong where it does not. */
  attempt: (change: () => Promise<OwnRoom>) => Promise<void>;
}

/** What is set of a room, one field after the other. */
const FIELDS: Record<string, (props: FieldProps) => ReactNode> = {
  guests: (props) => (
    <RightsField {...props} whose="guests" legend={texts.rooms.guestsMay} rights={texts.rooms.rights} />
  ),
  hosts: (props) => (
    <RightsField {...props} whose="hosts" legend={texts.rooms.hostsMay} rights={texts.rooms.hostRights} />
  ),
  people: PeopleField,
  recordings: RecordingSettings,
  lobby: (props) => (
    <SwitchField
      {...props}
      isOn={props.room.lobby}
      change={(lobby) => ({ lobby })}
      label={texts.lobby.switch}
    />
  ),
  consent: (props) => (
    <SwitchField
      {...props}
      isOn={props.room.asksConsent}
      change={(consent) => ({ consent })}
      label={texts.rooms.consent}
    />
  ),
};

/** What holds in a room. */
export function RoomSettings(props: FieldProps) {
  return Object.entries(FIELDS).map(([name, Field]) => <Field key={name} {...props} />);
}

interface RightsProps extends FieldProps {
  whose: 'guests' | 'hosts';
  legend: string;
  /** By the server's words for them. */
  rights: Readonly<Record<string, string>>;
}

/** What is granted to those who come by a link. Who ticks faster than the server answers is followed. */
function RightsField({ room, attempt, whose, legend, rights }: RightsProps) {
  const wanted = useRef<string[] | null>(null);
  const [ticked, setTicked] = useState<string[] | null>(null);
  const granted = room[whose];

  const grant = async (right: string, isGranted: boolean) => {
    const isUnderWay = wanted.current !== null;
    wanted.current = toggled(wanted.current ?? granted, right, isGranted);
    setTicked(wanted.current);
    if (isUnderWay) return;
    let asked: string[];
    do {
      asked = wanted.current;
      const wish: RoomChange = whose === 'guests' ? { guests: asked } : { hosts: asked };
      await attempt(() => changeRoom(room.name, wish));
    } while (wanted.current !== asked);
    wanted.current = null;
    setTicked(null);
  };

  return (
    <fieldset className="rooms__rights">
      <legend>{legend}</legend>
      {Object.entries(rights).map(([right, name]) => (
        <label key={right} className="check">
          <input
            type="checkbox"
            checked={(ticked ?? granted).includes(right)}
            onChange={(event) => void grant(right, event.target.checked)}
          />
          {name}
        </label>
      ))}
    </fieldset>
  );
}

interface SwitchProps extends FieldProps {
  isOn: boolean;
  change: (isOn: boolean) => RoomChange;
  label: string;
}

/** Something that a room has or has not. */
function SwitchField({ room, busy, attempt, isOn, change, label }: SwitchProps) {
  return (
    <label className="check">
      <input
        type="checkbox"
        checked={isOn}
        disabled={busy}
        onChange={(event) => {
          const wish = change(event.target.checked);
          void attempt(() => changeRoom(room.name, wish));
        }}
      />
      {label}
    </label>
  );
}

/** How many people there may be at a time. */
function PeopleField({ room, busy, attempt }: FieldProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const ids = { people: useId(), hint: useId() };
  const set = room.maxParticipants === null ? '' : String(room.maxParticipants);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const maxParticipants = readPeople(typed ?? set);
    if (maxParticipants === null) return setError(texts.rooms.peopleWrong);
    setError(null);
    await attempt(async () => {
      const changed = await changeRoom(room.name, { maxParticipants });
      setTyped(null);
      return changed;
    });
  };

  return (
    <form className="rooms__people" onSubmit={submit} noValidate>
      <div className="field">
        <label htmlFor={ids.people}>{texts.rooms.people}</label>
        <input
          id={ids.people}
          value={typed ?? set}
          inputMode="numeric"
          autoComplete="off"
          placeholder={texts.rooms.peopleUnset}
          aria-describedby={ids.hint}
          aria-invalid={error !== null}
          onChange={(event) => setTyped(event.target.value)}
        />
      </div>
      <button
        type="submit"
        className="button"
        aria-label={texts.rooms.setPeopleNamed(room.name)}
        disabled={busy || (typed ?? set) === set}
      >
        {texts.rooms.setPeople}
      </button>
      <p id={ids.hint} className="field__hint">
        {texts.rooms.peopleHint}
      </p>
      {error !== null && (
        <p className="form-error" role="alert">
          {error}
        </p>
      )}
    </form>
  );
}
