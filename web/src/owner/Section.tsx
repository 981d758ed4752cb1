import { type ReactNode, useId } from 'react';
import { timeOfDay } from '../format';
import { texts } from '../texts';
import type { Heard } from './heard';

interface Props {
  title: string;
  hint?: string;
  /** What it shows is what the server said to this. */
  heard: Heard<unknown>;
  /** Asks the server once more. */
  onAgain: () => void;
  children: ReactNode;
}

/** A part of the page: its heading, and what there is to say as long as the server has not answered. */
export function Section({ title, hint, heard, onAgain, children }: Props) {
  const titleId = useId();
  const { at, error } = heard;

  return (
    <section className="console__section" aria-labelledby={titleId}>
      <h2 id={titleId}>{title}</h2>
      {hint !== undefined && <p className="console__hint">{hint}</p>}
      {error !== null && (
        <div className="list-error" role="alert">
          <p>{at === null ? texts.owner.failed(error) : `${texts.owner.unheard(timeOfDay(at))} ${error}`}</p>
          <button type="button" className="button" onClick={onAgain}>
            {texts.list.retry}
          </button>
        </div>
      )}
      {at === null && error === null && (
        <p className="console__hint" role="status">
          {texts.call.loading}
        </p>
      )}
      {children}
    </section>
  );
}
