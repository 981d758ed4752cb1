import { type RefObject, useEffect, useState } from 'react';
import { texts } from '../texts';

const SAID_MS = 3000;

interface Props {
  value: string;
  /** The field in which it stands: where browsers copy for nobody, it is marked there for the keyboard. */
  field: RefObject<HTMLInputElement | null>;
  /** What it copies, where several stand on a page. */
  label?: string;
}

/** Copies a text that stands in a field beside it. */
export function CopyButton({ value, field, label }: Props) {
  const [copied, setCopied] = useState<string | null>(null);

  useEffect(() => {
    if (copied === null) return;
    const timer = window.setTimeout(() => setCopied(null), SAID_MS);
    return () => window.clearTimeout(timer);
  }, [copied]);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setCopied(value);
    } catch {
      // Browsers have no clipboard for pages by http.
      field.current?.focus();
      field.current?.select();
    }
  };

  const isCopied = copied === value;
  return (
    <button
      type="button"
      className="button"
      aria-label={isCopied ? undefined : label}
      onClick={() => void copy()}
    >
      {isCopied ? texts.copy.copied : texts.copy.copy}
    </button>
  );
}
