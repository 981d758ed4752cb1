import { type FormEvent, useId, useState } from 'react';
import { messageOf, setPassword } from '../api';
import { texts } from '../texts';
import { OwnerName, PasswordField } from './PasswordField';
import './access.css';

interface Props {
  /** What the link has in it. */
  secret: string;
  onSet: () => void;
}

export function SetPasswordForm({ secret, onSet }: Props) {
  const [password, setChosen] = useState('');
  const [repeated, setRepeated] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const errorId = useId();

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (password === '') return setError(texts.access.missing);
    if (password !== repeated) return setError(texts.access.different);
    setError(null);
    setBusy(true);
    try {
      await setPassword(secret, password);
      onSet();
    } catch (error) {
      setError(messageOf(error));
      setBusy(false);
    }
  };

  return (
    <form className="access__form" onSubmit={submit} noValidate aria-describedby={errorId}>
      <OwnerName />
      <PasswordField
        label={texts.access.newPassword}
        value={password}
        kind="new-password"
        isFirst
        onValue={setChosen}
      />
      <PasswordField
        label={texts.access.repeat}
        value={repeated}
        kind="new-password"
        isFirst={false}
        onValue={setRepeated}
      />
      <p id={errorId} className="form-error" role="alert">
        {error}
      </p>
      <button type="submit" className="button button--primary button--large" disabled={busy}>
        {busy ? texts.access.setting : texts.access.setButton}
      </button>
    </form>
  );
}
