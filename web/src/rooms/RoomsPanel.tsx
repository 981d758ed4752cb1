import { type FormEvent, useCallback, useEffect, useId, useState } from 'react';
import { listRooms, makeRoom, messageOf, type OwnRoom } from '../api';
import { texts } from '../texts';
import { RoomItem } from './RoomItem';
import './rooms.css';

const byName = (one: OwnRoom, other: OwnRoom) => one.name.localeCompare(other.name);

/** The owner's rooms: makes them, and sends, renews and revokes their links. */
export function RoomsPanel() {
  const [rooms, setRooms] = useState<OwnRoom[] | null>(null);
  const [name, setName] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const nameId = useId();
  const errorId = useId();

  const load = useCallback(() => {
    listRooms().then(
      (all) => {
        setRooms(all.sort(byName));
        setError(null);
      },
      (error: unknown) => setError(messageOf(error)),
    );
  }, []);
  useEffect(load, [load]);

  const put = (room: OwnRoom) =>
    setRooms((all) => [...(all ?? []).filter((other) => other.name !== room.name), room].sort(byName));

  const make = async (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === '') return setError(texts.rooms.nameMissing);
    setError(null);
    setBusy(true);
    try {
      put(await makeRoom(name.trim()));
      setName('');
    } catch (error) {
      setError(messageOf(error));
    }
    setBusy(false);
  };

  return (
    <section className="rooms" aria-label={texts.rooms.title}>
      <h2>{texts.rooms.title}</h2>
      <p className="access__subtitle">{texts.rooms.hint}</p>
      <form className="rooms__make" onSubmit={make} noValidate aria-describedby={errorId}>
        <div className="field">
          <label htmlFor={nameId}>{texts.rooms.name}</label>
          <input
            id={nameId}
            value={name}
            maxLength={128}
            autoComplete="off"
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <button type="submit" className="button button--primary" disabled={busy}>
          {texts.rooms.make}
        </button>
      </form>
      <p id={errorId} className="form-error" role="alert">
        {error}
      </p>
      {rooms?.length === 0 && <p>{texts.rooms.empty}</p>}
      <ul className="rooms__list">
        {rooms?.map((room) => (
          <RoomItem
            key={room.name}
            room={room}
            onChanged={put}
            onDeleted={() => setRooms((all) => (all ?? []).filter((other) => other.name !== room.name))}
            onProblem={(text) => {
              setError(text);
              // What was taken away may be, also where the answer was an error.
              load();
            }}
          />
        ))}
      </ul>
    </section>
  );
}
