import { useState } from 'react';
import { type Busy, type OpenRoom, overview, type Person } from '../api/owner';
import * as format from '../format';
import { UploadNote } from '../recordings/RecordingList';
import { texts } from '../texts';
import { useNow } from '../ui/useNow';
import { elapsed, type Heard } from './heard';
import { Section } from './Section';
import { StorageFacts } from './StorageFacts';
import { useAsked } from './useAsked';
import { worded } from './worded';

const LOOK_EVERY_MS = 5000;

/** What goes on at this moment: who is where, what is recorded, what waits, and how much room there is. */
export function NowSection() {
  const { value, heard, ask } = useAsked(overview, LOOK_EVERY_MS);
  const [problem, setProblem] = useState<string | null>(null);

  return (
    <Section title={texts.owner.sections.now} heard={heard} onAgain={ask}>
      {value !== null && (
        <>
          {value.troubles.length > 0 && (
            <div className="console__troubles">
              <h3>{texts.now.troubles}</h3>
              <ul>
                {value.troubles.map((trouble) => (
                  <li key={trouble}>{trouble}</li>
                ))}
              </ul>
            </div>
          )}
          <h3>{texts.now.rooms}</h3>
          <Rooms rooms={value.rooms} count={value.roomsCount} />
          <h3>{texts.now.recordings}</h3>
          <Running recordings={value.recordings} heard={heard} />
          <h3>{texts.now.queues}</h3>
          {problem !== null && (
            <p className="form-error" role="alert">
              {problem}
            </p>
          )}
          <Queues
            composing={value.composing}
            storing={value.storing}
            storingCount={value.storingCount}
            clockOffset={value.at === null || heard.at === null ? 0 : value.at - heard.at}
            onProblem={setProblem}
          />
          <h3>{texts.now.storage}</h3>
          <StorageFacts overview={value} />
        </>
      )}
    </Section>
  );
}

function Rooms({ rooms, count }: { rooms: OpenRoom[]; count: number }) {
  if (rooms.length === 0) {
    return (
      <p>
        {texts.now.noRooms} <a href="#rooms">{texts.now.invite}</a>
      </p>
    );
  }
  return (
    <ul className="console__list">
      {rooms.map((room) => (
        <li key={room.name} className="console__item" data-open-room={room.name}>
          <p className="console__name">
            <bdi>{room.name}</bdi>
            <span className="chip chip--complete">{texts.now.people(room.count)}</span>
          </p>
          {room.trouble !== null && <p className="recording__error">{room.trouble}</p>}
          <ul className="console__people">
            {room.people.map((person) => (
              <PersonItem key={person.identity} person={person} />
            ))}
          </ul>
          {room.count > room.people.length && room.trouble === null && (
            <p className="console__hint">{texts.now.more(room.count - room.people.length)}</p>
          )}
        </li>
      ))}
      {count > rooms.length && <li className="console__hint">{texts.now.more(count - rooms.length)}</li>}
    </ul>
  );
}

function PersonItem({ person }: { person: Person }) {
  const { name, identity, role, joinedAt, publishes, kind } = person;
  const sends = publishes.map((source) => worded(texts.now.publishes, source)).join(', ');
  const facts = [
    name === identity ? null : identity,
    kind === 'person' ? null : texts.now.otherKind(kind),
    role === null ? null : worded(texts.now.roles, role),
    joinedAt === null ? null : texts.now.since(format.timeOfDay(joinedAt)),
    sends === '' ? texts.now.silent : sends,
  ];
  return (
    <li className="console__person">
      <bdi>{name}</bdi>
      <span className="recording__facts">
        {facts.filter(Boolean).map((fact) => (
          <bdi key={fact}>{fact}</bdi>
        ))}
      </span>
    </li>
  );
}

/** A recording's room, for it is what people know it by, and its file. */
function Names({ recording }: { recording: Busy }) {
  return (
    <>
      <p className="console__name">
        <bdi>{recording.roomName || recording.name}</bdi>
        <span className={`chip chip--${recording.status}`}>{texts.status[recording.status]}</span>
      </p>
      <p className="recording__name" title={recording.name}>
        <bdi>{recording.name}</bdi>
      </p>
    </>
  );
}

function Running({ recordings, heard }: { recordings: Busy[]; heard: Heard<unknown> }) {
  const now = useNow(1000, recordings.length > 0 && heard.error === null);
  if (recordings.length === 0) return <p>{texts.now.noRecordings}</p>;
  return (
    <ul className="console__list">
      {recordings.map((recording) => (
        <li key={recording.id} className="console__item" data-recording={recording.name}>
          <Names recording={recording} />
          {recording.elapsed !== null && (
            <p className="recording__note">
              {texts.now.elapsed(format.duration(Math.floor(elapsed(recording.elapsed, heard, now))))}
            </p>
          )}
          {recording.error !== null && <p className="recording__error">{recording.error}</p>}
        </li>
      ))}
    </ul>
  );
}

interface QueuesProps {
  composing: Busy[];
  storing: Busy[];
  storingCount: number;
  /** The server's clock minus ours, in ms. */
  clockOffset: number;
  onProblem: (text: string) => void;
}

function Queues({ composing, storing, storingCount, clockOffset, onProblem }: QueuesProps) {
  if (composing.length === 0 && storing.length === 0) return <p>{texts.now.noQueues}</p>;
  return (
    <ul className="console__list">
      {composing.map((recording) => (
        <li key={recording.id} className="console__item">
          <Names recording={recording} />
          <Composing recording={recording} />
        </li>
      ))}
      {storing.map((recording) => (
        <li key={recording.id} className="console__item">
          <Names recording={recording} />
          {recording.upload !== null && (
            <UploadNote
              name={recording.name}
              upload={recording.upload}
              clockOffset={clockOffset}
              onProblem={onProblem}
            />
          )}
        </li>
      ))}
      {storingCount > storing.length && (
        <li className="console__hint">{texts.now.more(storingCount - storing.length)}</li>
      )}
    </ul>
  );
}

function Composing({ recording: { progress, error } }: { recording: Busy }) {
  return (
    <>
      <p className="recording__note">
        {progress === null ? texts.now.composes : texts.now.composing(Math.floor(progress * 100))}
      </p>
      {progress !== null && (
        <progress className="recording__progress" value={progress} aria-label={texts.now.composes} />
      )}
      {error !== null && <p className="recording__error">{error}</p>}
    </>
  );
}
