import { type FormEvent, useId, useState } from 'react';
import { messageOf, signIn } from '../api';
import { texts } from '../texts';
import { OwnerName, PasswordField } from './PasswordField';
import './access.css';

/** Whatever it is on hears of who signs in by `onSession`. */
export function SignInForm() {
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const errorId = useId();

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (password === '') return setError(texts.access.missing);
    setError(null);
    setBusy(true);
    try {
      await signIn(password);
    } catch (error) {
      setError(messageOf(error));
      setBusy(false);
    }
  };

  return (
    <form className="access__form" onSubmit={submit} noValidate aria-describedby={errorId}>
      <OwnerName />
      <PasswordField
        label={texts.access.password}
        value={password}
        kind="current-password"
        isFirst
        onValue={setPassword}
      />
      <p id={errorId} className="form-error" role="alert">
        {error}
      </p>
      <button type="submit" className="button button--primary button--large" disabled={busy}>
        {busy ? texts.access.signingIn : texts.access.button}
      </button>
      <p className="access__hint">{texts.access.forgotten}</p>
    </form>
  );
}
