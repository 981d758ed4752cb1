import { useCallback, useEffect, useRef, useState } from 'react';
import { PasswordForm } from '../access/PasswordForm';
import { PasswordPage } from '../access/PasswordPage';
import { openShare, type Watched, watchedShare } from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { Icon } from '../ui/Icon';
import { Logo } from '../ui/Logo';
import { Film } from './Film';
import { heard, type News, plays, refused, secretOf, type WatchState } from './watchState';
import './watch.css';

/** How often it is asked whether the link still holds: what a player has already, it would go on to show. */
const ASK_EVERY_MS = 5000;

const LINK_PASSWORD = [{ label: texts.access.password, kind: 'current-password' }] as const;

/** The secret of the link that was opened, also while the page is open already. */
function useSecret(): string | null {
  const [secret, setSecret] = useState(() => secretOf(window.location.hash));

  useEffect(() => {
    const changed = () => setSecret(secretOf(window.location.hash));
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, []);

  return secret;
}

/** What the link shows, and what opens it. */
function useLink(secret: string | null) {
  const [state, setState] = useState<WatchState>({ at: 'opening' });
  const opened = useRef(0);
  // What belongs to another link than the last one counts no more.
  const current = useRef(secret);
  current.current = secret;
  const latest = useRef(state);
  latest.current = state;

  const open = useCallback(
    async (password: string | null) => {
      if (secret === null) return setState({ at: 'over' });
      let next: WatchState;
      try {
        const watched = await openShare(secret, password);
        opened.current += 1;
        next = { at: 'showing', watched, opened: opened.current };
      } catch (error) {
        next = refused(error, password !== null);
      }
      if (current.current === secret) setState(next);
    },
    [secret],
  );

  useEffect(() => {
    setState({ at: 'opening' });
    void open(null);
  }, [open]);

  const id = state.at === 'showing' ? state.watched.id : null;
  const ask = useCallback(async () => {
    if (id === null) return;
    const news: News = await watchedShare(id).then(
      (watched) => ({ watched }),
      (error: unknown) => ({ error }),
    );
    if (current.current !== secret) return;
    const next = heard(latest.current, news);
    if (next === 'open') await open(null);
    else setState(next);
  }, [id, secret, open]);

  useEffect(() => {
    if (id === null) return;
    const timer = window.setInterval(() => void ask(), ASK_EVERY_MS);
    return () => window.clearInterval(timer);
  }, [id, ask]);

  return { state, open, ask };
}

export function WatchPage() {
  const { state, open, ask } = useLink(useSecret());

  if (state.at === 'opening') {
    return (
      <p className="loading" role="status">
        {texts.watch.opening}
      </p>
    );
  }
  if (state.at === 'locked') {
    return (
      <PasswordPage title={texts.watch.locked} subtitle={texts.watch.lockedHint}>
        <PasswordForm
          fields={LINK_PASSWORD}
          button={texts.watch.button}
          busyButton={texts.watch.opening}
          refusal={state.refusal}
          onPasswords={([password = '']) => open(password)}
        />
      </PasswordPage>
    );
  }
  if (state.at === 'over') {
    return (
      <PasswordPage title={texts.watch.over} subtitle={texts.watch.overHint}>
        {null}
      </PasswordPage>
    );
  }
  if (state.at === 'failed') {
    return (
      <PasswordPage title={texts.watch.failed} subtitle={state.reason}>
        <button type="button" className="button" onClick={() => void open(null)}>
          {texts.list.retry}
        </button>
      </PasswordPage>
    );
  }
  return <Shown watched={state.watched} opened={state.opened} onTrouble={ask} />;
}

interface ShownProps {
  watched: Watched;
  opened: number;
  onTrouble: () => void;
}

function Shown({ watched, opened, onTrouble }: ShownProps) {
  const { title, startedAt, duration, size, download, file, status } = watched;
  const at = useRef(0);

  useEffect(() => {
    document.title = `${title || texts.watch.recording} - ${texts.product}`;
  }, [title]);

  return (
    <div className="page">
      <header className="page__header">
        <Logo />
      </header>
      <main className="watch">
        <h1>
          <bdi>{title}</bdi>
        </h1>
        {plays(watched) ? (
          <Film key={opened} watched={watched} at={at} onTrouble={onTrouble} />
        ) : (
          <p className="player__failed">
            {status === 'failed' ? texts.watch.hasFailed : texts.watch.unfinished}
          </p>
        )}
        <footer className="player__facts">
          <p className="recording__facts">
            {startedAt > 0 && (
              <time dateTime={new Date(startedAt).toISOString()}>{format.date(startedAt)}</time>
            )}
            {duration !== null && <span>{format.duration(duration)}</span>}
            {size !== null && <span>{format.size(size)}</span>}
          </p>
          {download && status === 'complete' && (
            <a className="button" href={`${file}?download`} download>
              <Icon name="download" size={18} /> {texts.list.download}
            </a>
          )}
        </footer>
      </main>
    </div>
  );
}
