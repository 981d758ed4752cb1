import { useEffect, useId, useRef } from 'react';

interface Props {
  label: string;
  value: string;
  /** Whether it is the one that is known already, or one that is to be remembered. */
  kind: 'current-password' | 'new-password';
  /** Whether one begins to type in it. */
  isFirst: boolean;
  onValue: (value: string) => void;
}

export function PasswordField({ label, value, kind, isFirst, onValue }: Props) {
  const id = useId();
  const element = useRef<HTMLInputElement>(null);

  useEffect(() => {
    if (!isFirst) return;
    // After a dialog around it has opened, which chooses by itself.
    const timer = window.setTimeout(() => element.current?.focus());
    return () => window.clearTimeout(timer);
  }, [isFirst]);

  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        ref={element}
        id={id}
        type="password"
        value={value}
        autoComplete={kind}
        required
        onChange={(event) => onValue(event.target.value)}
      />
    </div>
  );
}

/** Tells programs that remember passwords whose it is. People do not see it. */
export function OwnerName() {
  return <input type="text" name="username" value="owner" autoComplete="username" readOnly hidden />;
}
