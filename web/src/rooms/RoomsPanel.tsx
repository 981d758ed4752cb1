import { type FormEvent, useId, useState } from 'react';
import { makeRoom, messageOf } from '../api';
import { texts } from '../texts';
import { RoomItem } from './RoomItem';
import { useRooms } from './useRooms';
import './rooms.css';

/** The owner's rooms: makes them, sets what holds in them, and sends, renews and revokes their links. */
export function RoomsPanel() {
  const { rooms, error, load, put, forget } = useRooms();
  const [problem, setProblem] = useState<string | null>(null);
  const [name, setName] = useState('');
  const [busy, setBusy] = useState(false);
  const nameId = useId();
  const errorId = useId();

  const make = async (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === '') return setProblem(texts.rooms.nameMissing);
    setProblem(null);
    setBusy(true);
    try {
      put(await makeRoom(name.trim()));
      setName('');
    } catch (error) {
      setProblem(messageOf(error));
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
        {problem ?? error}
      </p>
      {rooms === null && (
        <div className="row">
          {error === null ? (
            <p role="status">{texts.call.loading}</p>
          ) : (
            <button type="button" className="button" onClick={load}>
              {texts.list.retry}
            </button>
          )}
        </div>
      )}
      {rooms?.length === 0 && <p>{texts.rooms.empty}</p>}
      <ul className="rooms__list">
        {rooms?.map((room) => (
          <RoomItem
            key={room.name}
            room={room}
            onChanged={(changed) => {
              setProblem(null);
              put(changed);
            }}
            onDeleted={() => forget(room)}
            onProblem={(text) => {
              setProblem(text);
              // What was taken away may be, also where the answer was an error.
              load();
            }}
          />
        ))}
      </ul>
    </section>
  );
}
