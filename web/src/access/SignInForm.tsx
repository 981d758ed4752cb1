import { type FormEvent, useEffect, useId, useState } from 'react';
import { messageOf, signIn } from '../api';
import { texts } from '../texts';
import { OwnerName, PasswordField } from './PasswordField';
import { reasonOf } from './provider';
import { ProviderLink } from './ProviderLink';
import './access.css';

interface Props {
  /** Whether what is on the page has to stay. */
  keepsPage?: boolean;
}

/** Why an OpenID provider brought somebody back who is not signed in. */
function broughtBack(): string | null {
  const reason = reasonOf(window.location.search);
  return reason === null ? null : texts.access.provider[reason];
}

/** Whatever it is on hears of who signs in by `onSession`. */
export function SignInForm({ keepsPage = false }: Props) {
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(broughtBack);
  const errorId = useId();

  useEffect(() => {
    // It is said once. The link below has taken from the address where it leads.
    if (broughtBack() !== null) window.history.replaceState(null, '', window.location.pathname);
  }, []);

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
      <ProviderLink keepsPage={keepsPage} />
      <p className="access__hint">{texts.access.forgotten}</p>
    </form>
  );
}
