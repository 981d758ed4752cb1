import { type FormEvent, useId, useState } from 'react';
import { messageOf } from '../api';
import { type KeyRight, makeKey, RIGHTS } from '../api/owner';
import { inDays } from '../format';
import { texts } from '../texts';
import { CopyField } from '../ui/CopyField';

/** Days that a key lasts; 0: until it is revoked. */
const LASTS = [30, 90, 365, 0] as const;
type Lasts = (typeof LASTS)[number];

/** Makes a key, and shows it this once. */
export function MakeKeyForm({ onMade }: { onMade: () => void }) {
  const [name, setName] = useState('');
  const [rights, setRights] = useState<KeyRight[]>([]);
  const [lasts, setLasts] = useState<Lasts>(90);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const ids = { name: useId(), lasts: useId(), error: useId(), warning: useId() };

  const tick = (right: KeyRight, isTicked: boolean) =>
    setRights((before) => RIGHTS.filter((other) => (other === right ? isTicked : before.includes(other))));

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === '') return setError(texts.keys.nameMissing);
    if (rights.length === 0) return setError(texts.keys.rightsMissing);
    setError(null);
    setBusy(true);
    try {
      setSecret(await makeKey({ name: name.trim(), rights, expiresAt: inDays(lasts, Date.now()) }));
      setName('');
      setRights([]);
      onMade();
    } catch (error) {
      setError(messageOf(error));
    }
    setBusy(false);
  };

  return (
    <>
      <form className="console__form" onSubmit={submit} noValidate aria-describedby={ids.error}>
        <div className="field">
          <label htmlFor={ids.name}>{texts.keys.name}</label>
          <input
            id={ids.name}
            value={name}
            maxLength={128}
            autoComplete="off"
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <fieldset className="console__ticks">
          <legend>{texts.keys.may}</legend>
          {RIGHTS.map((right) => (
            <label key={right} className="check">
              <input
                type="checkbox"
                checked={rights.includes(right)}
                aria-describedby={right === 'manage' && rights.includes(right) ? ids.warning : undefined}
                onChange={(event) => tick(right, event.target.checked)}
              />
              {texts.keys.rights[right]}
            </label>
          ))}
        </fieldset>
        {rights.includes('manage') && (
          <p id={ids.warning} className="console__warning" role="status">
            {texts.keys.manageWarning}
          </p>
        )}
        <div className="field">
          <label htmlFor={ids.lasts}>{texts.keys.expires}</label>
          <select
            id={ids.lasts}
            value={lasts}
            onChange={(event) => setLasts(LASTS.find((days) => String(days) === event.target.value) ?? 90)}
          >
            {LASTS.map((days) => (
              <option key={days} value={days}>
                {texts.keys.lasts[days]}
              </option>
            ))}
          </select>
        </div>
        <p id={ids.error} className="form-error" role="alert">
          {error}
        </p>
        <button type="submit" className="button button--primary" disabled={busy}>
          {busy ? texts.keys.making : texts.keys.make}
        </button>
      </form>
      {secret !== null && (
        <CopyField key={secret} label={texts.keys.key} value={secret} hint={texts.keys.made} />
      )}
    </>
  );
}
