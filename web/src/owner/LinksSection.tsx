import { useId, useState } from 'react';
import { type Recording, ROLES } from '../api';
import * as format from '../format';
import { ShareDialog } from '../recordings/ShareDialog';
import { useLibrary } from '../recordings/useLibrary';
import { LinkRow } from '../rooms/LinkRow';
import { useRooms } from '../rooms/useRooms';
import { texts } from '../texts';
import '../rooms/rooms.css';

/** Every link by which somebody else gets something: into rooms, and to recordings. */
export function LinksSection() {
  return (
    <section className="console__section" aria-label={texts.owner.sections.links}>
      <RoomLinks />
      <RecordingLinks />
    </section>
  );
}

function RoomLinks() {
  const { rooms, error, load, put } = useRooms();
  const [problem, setProblem] = useState<string | null>(null);
  const shown = problem ?? error;

  return (
    <>
      <h2>{texts.links.rooms}</h2>
      <p className="console__hint">{texts.links.roomsHint}</p>
      {shown !== null && (
        <div className="list-error" role="alert">
          <p>{shown}</p>
          <button
            type="button"
            className="button"
            onClick={() => {
              setProblem(null);
              load();
            }}
          >
            {texts.list.retry}
          </button>
        </div>
      )}
      {rooms === null && error === null && <p role="status">{texts.call.loading}</p>}
      {rooms?.length === 0 && (
        <p>
          {texts.links.noRooms} <a href="#rooms">{texts.now.invite}</a>
        </p>
      )}
      <ul className="rooms__list">
        {rooms?.map((room) => (
          <li key={room.name} className="rooms__room" data-room={room.name}>
            <h3>
              <bdi>{room.name}</bdi>
            </h3>
            {ROLES.map((role) => (
              <LinkRow
                key={role}
                room={room}
                role={role}
                onChanged={(changed) => {
                  setProblem(null);
                  put(changed);
                }}
                onProblem={(text) => {
                  setProblem(text);
                  // What was taken away may be, also where the answer was an error.
                  load();
                }}
              />
            ))}
          </li>
        ))}
      </ul>
    </>
  );
}

function RecordingLinks() {
  const [q, setQ] = useState('');
  const [sharing, setSharing] = useState<Recording | null>(null);
  const library = useLibrary({ roomName: '', q: q.trim(), sort: '-startedAt' });
  const { recordings, error } = library;
  const searchId = useId();

  return (
    <>
      <h2>{texts.links.recordings}</h2>
      <p className="console__hint">{texts.links.recordingsHint}</p>
      <div className="field">
        <label htmlFor={searchId}>{texts.links.search}</label>
        <input
          id={searchId}
          type="search"
          value={q}
          placeholder={texts.list.searchHint}
          onChange={(event) => setQ(event.target.value)}
        />
      </div>
      {error !== null && (
        <div className="list-error" role="alert">
          <p>
            {texts.list.failed}: {error}
          </p>
          <button type="button" className="button" onClick={library.refresh}>
            {texts.list.retry}
          </button>
        </div>
      )}
      {recordings === null && error === null && <p role="status">{texts.list.loading}</p>}
      {recordings?.length === 0 && (
        <p>{q.trim() === '' ? texts.links.noRecordings : texts.list.emptyFilter}</p>
      )}
      <ul className="console__list">
        {recordings?.map((recording) => (
          <li key={recording.id} className="console__item console__item--row">
            <div>
              <p className="console__name">
                <bdi>{recording.roomName || recording.name}</bdi>
              </p>
              <p className="recording__facts">
                {recording.startedAt > 0 && (
                  <time dateTime={new Date(recording.startedAt).toISOString()}>
                    {format.date(recording.startedAt)}
                  </time>
                )}
                <bdi>{recording.name}</bdi>
              </p>
            </div>
            <button
              type="button"
              className="button"
              aria-label={texts.links.openNamed(recording.name)}
              onClick={() => setSharing(recording)}
            >
              {texts.links.open}
            </button>
          </li>
        ))}
      </ul>
      {library.hasMore && (
        <button type="button" className="button" disabled={library.loading} onClick={library.more}>
          {texts.list.more}
        </button>
      )}
      {sharing !== null && <ShareDialog recording={sharing} onClose={() => setSharing(null)} />}
    </>
  );
}
