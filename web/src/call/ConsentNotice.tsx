import { texts } from '../texts';
import type { OwnConsent } from './useConsent';

/** Whoever has not answered is asked as soon as the room is recorded. */
export function ConsentNotice({ consent, recorded }: { consent: OwnConsent; recorded: boolean }) {
  if (!recorded || consent.said !== 'asked' || consent.busy) return null;
  return (
    <section className="call__again" role="alert" aria-label={texts.consent.asking}>
      <p>
        {texts.consent.asked} {texts.consent.asking}
      </p>
      <div className="call__again-answers">
        <button type="button" className="button button--primary" onClick={() => consent.say(true)}>
          {texts.consent.yes}
        </button>
        <button type="button" className="button" onClick={() => consent.say(false)}>
          {texts.consent.no}
        </button>
      </div>
    </section>
  );
}
