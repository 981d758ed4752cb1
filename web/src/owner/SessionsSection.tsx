import { useState } from 'react';
import { OwnerName } from '../access/PasswordField';
import { PasswordForm } from '../access/PasswordForm';
import { changePassword, messageOf } from '../api';
import { endOtherSessions, endSession, listSessions, type Session } from '../api/owner';
import * as format from '../format';
import { texts } from '../texts';
import { ConfirmDialog } from '../ui/ConfirmDialog';
import { browserName } from './browserName';
import { Section } from './Section';
import { useAsked } from './useAsked';

const FIELDS = [
  { label: texts.access.oldPassword, kind: 'current-password' },
  { label: texts.access.newPassword, kind: 'new-password' },
  { label: texts.access.repeat, kind: 'new-password' },
] as const;

/** Where the owner is signed in, and with what password. */
export function SessionsSection() {
  const { value, heard, ask } = useAsked(listSessions);
  /** What is to end once that is confirmed. */
  const [ending, setEnding] = useState<Session | 'others' | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const others = value?.filter(({ isCurrent }) => !isCurrent) ?? [];

  const end = async () => {
    setProblem(null);
    setDone(null);
    try {
      if (ending === 'others') setDone(texts.sessions.ended(await endOtherSessions()));
      else if (ending !== null) {
        await endSession(ending.id);
        setDone(texts.sessions.ended(1));
      }
    } catch (error) {
      setProblem(messageOf(error));
    }
    setEnding(null);
    ask();
  };

  return (
    <>
      <Section title={texts.sessions.title} hint={texts.sessions.hint} heard={heard} onAgain={ask}>
        {problem !== null && (
          <p className="form-error" role="alert">
            {problem}
          </p>
        )}
        <p className="console__done" role="status">
          {done}
        </p>
        <ul className="console__list">
          {value?.map((session) => (
            <SessionItem key={session.id} session={session} onEnd={() => setEnding(session)} />
          ))}
        </ul>
        {value !== null &&
          (others.length === 0 ? (
            <p className="console__hint">{texts.sessions.alone}</p>
          ) : (
            <button type="button" className="button" onClick={() => setEnding('others')}>
              {texts.sessions.endOthers}
            </button>
          ))}
      </Section>
      <ChangePassword onChanged={ask} />
      {ending !== null && (
        <ConfirmDialog
          title={ending === 'others' ? texts.sessions.endOthersTitle : texts.sessions.endTitle}
          confirm={ending === 'others' ? texts.sessions.endOthers : texts.sessions.end}
          onConfirm={end}
          onClose={() => setEnding(null)}
        >
          {ending !== 'others' && (
            <p>
              <strong>
                <bdi>{browserName(ending.userAgent)}</bdi>
              </strong>
            </p>
          )}
          <p>{ending === 'others' ? texts.sessions.endOthersHint : texts.sessions.endHint}</p>
        </ConfirmDialog>
      )}
    </>
  );
}

function SessionItem({ session, onEnd }: { session: Session; onEnd: () => void }) {
  const { userAgent, isCurrent, address, begunAt, seenAt, endsAt } = session;
  const name = browserName(userAgent);
  return (
    <li className="console__item console__item--row" data-session={session.id}>
      <div>
        <p className="console__name" title={userAgent}>
          <bdi>{name}</bdi>
          {isCurrent && <span className="chip chip--complete">{texts.sessions.current}</span>}
        </p>
        <p className="recording__facts">
          {address !== null && <span>{texts.sessions.from(address)}</span>}
          <span>{texts.sessions.begun(format.date(begunAt))}</span>
          <span>{texts.sessions.seen(format.date(seenAt))}</span>
          <span>{texts.sessions.ends(format.date(endsAt))}</span>
        </p>
      </div>
      {!isCurrent && (
        <button
          type="button"
          className="button"
          aria-label={texts.sessions.endNamed(name, format.date(begunAt))}
          onClick={onEnd}
        >
          {texts.sessions.end}
        </button>
      )}
    </li>
  );
}

function ChangePassword({ onChanged }: { onChanged: () => void }) {
  /** A form begins anew with each time that it was taken. */
  const [times, setTimes] = useState(0);

  const change = async ([old = '', password = '']: string[]) => {
    await changePassword(old, password);
    setTimes((times) => times + 1);
    onChanged();
  };

  return (
    <section className="console__section console__narrow" aria-label={texts.sessions.password}>
      <h2>{texts.sessions.password}</h2>
      <p className="console__done" role="status">
        {times > 0 && texts.access.changed}
      </p>
      <PasswordForm
        key={times}
        fields={FIELDS}
        button={texts.access.changeButton}
        busyButton={texts.access.changing}
        isFirst={false}
        check={([, password, repeated]) => (password === repeated ? null : texts.access.different)}
        onPasswords={change}
      >
        <OwnerName />
      </PasswordForm>
    </section>
  );
}
