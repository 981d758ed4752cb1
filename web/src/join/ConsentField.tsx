import { useId } from 'react';
import { texts } from '../texts';

interface Props {
  /** Null until something is chosen: silence is no consent, and neither is a choice that was made for somebody. */
  value: boolean | null;
  onChange: (agrees: boolean) => void;
}

/** Asks whoever joins whether they agree to being recorded. */
export function ConsentField({ value, onChange }: Props) {
  const name = useId();
  const hintId = useId();
  const choices = [
    [true, texts.consent.agree],
    [false, texts.consent.decline],
  ] as const;
  return (
    <fieldset className="consent-field" aria-describedby={hintId}>
      <legend>{texts.consent.legend}</legend>
      <p id={hintId}>{texts.consent.hint}</p>
      {choices.map(([agrees, label]) => (
        <label key={label}>
          <input
            type="radio"
            name={name}
            required
            checked={value === agrees}
            onChange={() => onChange(agrees)}
          />{' '}
          {label}
        </label>
      ))}
    </fieldset>
  );
}
