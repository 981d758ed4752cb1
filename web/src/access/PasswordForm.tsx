import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { messageOf } from '../api';
import { texts } from '../texts';
import { PasswordField } from './PasswordField';
import './access.css';

export interface PasswordWanted {
  label: string;
  /** Whether it is the one that is known already, or one that is to be remembered. */
  kind: 'current-password' | 'new-password';
}

interface Props {
  /** What is asked for, in this order. */
  fields: readonly PasswordWanted[];
  button: string;
  /** What the button says meanwhile. */
  busyButton: string;
  /** Whether one begins to type in it as soon as it is there. */
  isFirst?: boolean;
  /** What is wrong with what was typed before it is sent; null where nothing is. */
  check?: (typed: string[]) => string | null;
  /** Throws why it was refused. */
  onPasswords: (typed: string[]) => Promise<void>;
  /** Why it was refused, where that is told otherwise. */
  refusal?: string | null;
  /** In front of the fields. */
  children?: ReactNode;
}

/** A form that asks for one password or several. */
export function PasswordForm({
  fields,
  button,
  busyButton,
  isFirst = true,
  check = () => null,
  onPasswords,
  refusal = null,
  children,
}: Props) {
  const [typed, setTyped] = useState(() => fields.map(() => ''));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const errorId = useId();

  const type = (at: number, value: string) =>
    setTyped((before) => before.map((other, index) => (index === at ? value : other)));

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const wrong = typed.includes('') ? texts.access.missing : check(typed);
    setError(wrong);
    if (wrong !== null) return;
    setBusy(true);
    try {
      await onPasswords(typed);
    } catch (error) {
      setError(messageOf(error));
    }
    setBusy(false);
  };

  return (
    <form className="access__form" onSubmit={submit} noValidate aria-describedby={errorId}>
      {children}
      {fields.map(({ label, kind }, at) => (
        <PasswordField
          key={label}
          label={label}
          value={typed[at] ?? ''}
          kind={kind}
          isFirst={isFirst && at === 0}
          onValue={(value) => type(at, value)}
        />
      ))}
      <p id={errorId} className="form-error" role="alert">
        {error ?? refusal}
      </p>
      <button type="submit" className="button button--primary button--large" disabled={busy}>
        {busy ? busyButton : button}
      </button>
    </form>
  );
}
