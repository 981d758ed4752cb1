import { useId, useRef } from 'react';
import { CopyButton } from './CopyButton';

interface Props {
  label: string;
  value: string;
  /** What there is to know of it; read out as soon as it is there. */
  hint: string;
}

/** A text that is shown to be copied, this once. */
export function CopyField({ label, value, hint }: Props) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);

  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="copy">
        <input ref={field} id={id} value={value} readOnly onFocus={(event) => event.currentTarget.select()} />
        <CopyButton value={value} field={field} />
      </div>
      <p className="field__hint" role="status">
        {hint}
      </p>
    </div>
  );
}
