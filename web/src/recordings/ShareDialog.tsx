import { type FormEvent, useCallback, useEffect, useId, useState } from 'react';
import { listShares, makeShare, messageOf, type Recording, revokeShare, type Share } from '../api';
import { inDays } from '../format';
import { texts } from '../texts';
import { CopyField } from '../ui/CopyField';
import { Dialog } from '../ui/Dialog';
import { ShareItem } from './ShareItem';
import { LASTS, type Lasts } from './shares';
import './share.css';

/** How often it is looked who watches. */
const LOOK_EVERY_MS = 5000;

interface Props {
  recording: Recording;
  onClose: () => void;
}

/** Links to one recording: makes them, lists them with who watched, and revokes them. */
export function ShareDialog({ recording, onClose }: Props) {
  const { name } = recording;
  const [shares, setShares] = useState<Share[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const load = useCallback(
    async (signal?: AbortSignal) => {
      try {
        setShares(await listShares(name, signal));
        setProblem(null);
      } catch (error) {
        if (!signal?.aborted) setProblem(`${texts.share.failed}: ${messageOf(error)}`);
      }
    },
    [name],
  );

  useEffect(() => {
    const gone = new AbortController();
    void load(gone.signal);
    const timer = window.setInterval(() => void load(gone.signal), LOOK_EVERY_MS);
    return () => {
      gone.abort();
      window.clearInterval(timer);
    };
  }, [load]);

  const revoke = async (share: Share) => {
    try {
      await revokeShare(name, share.id);
      await load();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };

  return (
    <Dialog title={texts.share.title} className="dialog--report" onClose={onClose}>
      <p className="dialog__name">
        <bdi>{name}</bdi>
      </p>
      <MakeForm name={name} onMade={() => void load()} />
      <h3 className="share__heading">{texts.share.links}</h3>
      {problem !== null && (
        <p className="form-error" role="alert">
          {problem}
        </p>
      )}
      {shares?.length === 0 && <p>{texts.share.none}</p>}
      {shares !== null && shares.length > 0 && (
        <ul className="share__list">
          {shares.map((share) => (
            <ShareItem key={share.id} recording={recording} share={share} onRevoke={revoke} />
          ))}
        </ul>
      )}
    </Dialog>
  );
}

function MakeForm({ name, onMade }: { name: string; onMade: () => void }) {
  const [label, setLabel] = useState('');
  const [gives, setGives] = useState<'play' | 'download'>('play');
  const [lasts, setLasts] = useState<Lasts>(7);
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [link, setLink] = useState<string | null>(null);
  const ids = {
    label: useId(),
    gives: useId(),
    lasts: useId(),
    password: useId(),
    hint: useId(),
    error: useId(),
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setError(null);
    setBusy(true);
    try {
      const made = await makeShare(name, {
        name: label,
        download: gives === 'download',
        password: password === '' ? null : password,
        expiresAt: inDays(lasts, Date.now()),
      });
      setLink(made);
      setPassword('');
      setLabel('');
      onMade();
    } catch (error) {
      setError(messageOf(error));
    }
    setBusy(false);
  };

  return (
    <>
      <form className="share__form" onSubmit={submit} aria-describedby={ids.error}>
        <div className="field">
          <label htmlFor={ids.label}>{texts.share.name}</label>
          <input
            id={ids.label}
            value={label}
            autoComplete="off"
            onChange={(event) => setLabel(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={ids.gives}>{texts.share.gives}</label>
          <select
            id={ids.gives}
            value={gives}
            onChange={(event) => setGives(event.target.value === 'download' ? 'download' : 'play')}
          >
            <option value="play">{texts.share.play}</option>
            <option value="download">{texts.share.download}</option>
          </select>
        </div>
        <div className="field">
          <label htmlFor={ids.lasts}>{texts.share.expires}</label>
          <select
            id={ids.lasts}
            value={lasts}
            onChange={(event) => setLasts(LASTS.find((days) => String(days) === event.target.value) ?? 7)}
          >
            {LASTS.map((days) => (
              <option key={days} value={days}>
                {texts.share.lasts[days]}
              </option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor={ids.password}>{texts.share.password}</label>
          <input
            id={ids.password}
            type="password"
            value={password}
            autoComplete="new-password"
            aria-describedby={ids.hint}
            onChange={(event) => setPassword(event.target.value)}
          />
          <p id={ids.hint} className="share__hint">
            {texts.share.passwordHint}
          </p>
        </div>
        <p id={ids.error} className="form-error" role="alert">
          {error}
        </p>
        <button type="submit" className="button button--primary" disabled={busy}>
          {busy ? texts.share.making : texts.share.make}
        </button>
      </form>
      {link !== null && (
        <CopyField key={link} label={texts.share.link} value={link} hint={texts.share.made} />
      )}
    </>
  );
}
