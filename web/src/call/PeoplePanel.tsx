import { type Participant, Track } from 'livekit-client';
import { useState } from 'react';
import { decideLobby, may, messageOf, mutePerson, removePerson, type Waiter } from '../api';
import { timeOfDay } from '../format';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';
import { Icon } from '../ui/Icon';
import type { Notice } from '../ui/Notices';

/** As what somebody came: the server alone says it. */
const ROLE = 'reelroom.role';

interface Props {
  roomName: string;
  people: Participant[];
  waiting: Waiter[];
  notify: (kind: Notice['kind'], text: string) => void;
  onClose: () => void;
}

const nameOf = (person: Participant): string => person.name || person.identity;

/** Who is in the room; for whoever runs it also who waits, and what can be done about either. */
export function PeoplePanel({ roomName, people, waiting, notify, onClose }: Props) {
  const [removing, setRemoving] = useState<Participant | null>(null);
  const [busy, setBusy] = useState(false);

  const attempt = async (action: () => Promise<void>, done?: string) => {
    setBusy(true);
    try {
      await action();
      if (done) notify('info', done);
    } catch (error) {
      notify('error', messageOf(error));
    }
    setBusy(false);
  };
  const decide = (decision: 'admit' | 'refuse', ids: string[]) =>
    void attempt(() => decideLobby(roomName, decision, ids));

  const remove = async (person: Participant) => {
    await attempt(() => removePerson(roomName, person.identity), texts.people.removed(nameOf(person)));
    setRemoving(null);
  };

  return (
    <aside id="people-panel" className="panel" aria-label={texts.people.title}>
      <header className="panel__header">
        <h2>{texts.people.title}</h2>
        <button
          type="button"
          className="button button--icon panel__close"
          aria-label={texts.people.hide}
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </header>
      {waiting.length > 0 && (
        <section className="people" aria-label={texts.people.waiting}>
          <h3>{texts.people.waiting}</h3>
          <ul>
            {waiting.map(({ id, name, since }) => (
              <li key={id} className="people__person" data-waiting={name}>
                <span className="people__name">
                  <bdi>{name}</bdi> <small>{texts.lobby.since(timeOfDay(since))}</small>
                </span>
                <span className="people__acts">
                  <button
                    type="button"
                    className="button button--primary"
                    aria-label={texts.lobby.admitNamed(name)}
                    disabled={busy}
                    onClick={() => decide('admit', [id])}
                  >
                    {texts.lobby.admit}
                  </button>
                  <button
                    type="button"
                    className="button"
                    aria-label={texts.lobby.refuseNamed(name)}
                    disabled={busy}
                    onClick={() => decide('refuse', [id])}
                  >
                    {texts.lobby.refuse}
                  </button>
                </span>
              </li>
            ))}
          </ul>
          {waiting.length > 1 && (
            <button
              type="button"
              className="button"
              disabled={busy}
              onClick={() =>
                decide(
                  'admit',
                  waiting.map(({ id }) => id),
                )
              }
            >
              {texts.lobby.admitAll(waiting.length)}
            </button>
          )}
          <h3>{texts.people.inRoom}</h3>
        </section>
      )}
      <ul className="people">
        {people.map((person) => (
          <Person
            key={person.sid}
            person={person}
            busy={busy}
            onMute={(source, done) => void attempt(() => mutePerson(roomName, person.identity, source), done)}
            onRemove={() => setRemoving(person)}
          />
        ))}
      </ul>
      {removing && (
        <Dialog title={texts.people.removeTitle} className="dialog--small" onClose={() => setRemoving(null)}>
          <p>
            <strong>
              <bdi>{nameOf(removing)}</bdi>
            </strong>
          </p>
          <p>{texts.people.removeHint}</p>
          <div className="row row--end">
            <button type="button" className="button" onClick={() => setRemoving(null)}>
              {texts.people.keep}
            </button>
            <button
              type="button"
              className="button button--danger"
              disabled={busy}
              onClick={() => void remove(removing)}
            >
              {texts.people.remove}
            </button>
          </div>
        </Dialog>
      )}
    </aside>
  );
}

type Mutable = keyof typeof texts.people.mute;

interface PersonProps {
  person: Participant;
  busy: boolean;
  onMute: (source: Mutable, done: string) => void;
  onRemove: () => void;
}

function Person({ person, busy, onMute, onRemove }: PersonProps) {
  const name = nameOf(person);
  const role = person.attributes[ROLE];
  const roleName = role === 'owner' || role === 'host' ? texts.people.role[role] : null;
  const runs = may('moderate') && !person.isLocal;
  const microphone = person.getTrackPublication(Track.Source.Microphone);
  const sends: [Mutable, boolean][] = [
    ['microphone', person.isMicrophoneEnabled],
    ['camera', person.isCameraEnabled],
    ['screen_share', person.isScreenShareEnabled],
  ];
  const doneOf = (source: Mutable) =>
    source === 'microphone' ? texts.people.muted(name) : texts.people.stopped(name);
  return (
    <li className="people__person" data-person={person.identity}>
      <span className="people__name">
        {(!microphone || microphone.isMuted) && (
          <span role="img" aria-label={texts.call.muted} title={texts.call.muted}>
            <Icon name="micOff" size={16} />
          </span>
        )}
        <bdi>{person.isLocal ? texts.call.youAre(name) : name}</bdi>
        {roleName && <small>{roleName}</small>}
      </span>
      {runs && (
        <span className="people__acts">
          {sends
            .filter(([, isSent]) => isSent)
            .map(([source]) => (
              <button
                key={source}
                type="button"
                className="button"
                aria-label={texts.people.muteNamed(texts.people.mute[source], name)}
                disabled={busy}
                onClick={() => onMute(source, doneOf(source))}
              >
                {texts.people.mute[source]}
              </button>
            ))}
          <button
            type="button"
            className="button button--remove"
            aria-label={texts.people.removeNamed(name)}
            disabled={busy}
            onClick={onRemove}
          >
            {texts.people.remove}
          </button>
        </span>
      )}
    </li>
  );
}
