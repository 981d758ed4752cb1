import { texts } from '../texts';
import { isLeftOut } from './consent';
import type { OwnConsent } from './useConsent';

/** Whether recordings show this participant, and the way to change that. */
export function ConsentSwitch({ consent }: { consent: OwnConsent }) {
  if (consent.said === null) return null;
  const leftOut = isLeftOut(consent.said);
  return (
    <div className="consent">
      <span role="status">{leftOut ? texts.consent.notRecorded : texts.consent.recorded}</span>
      <button
        type="button"
        className="button button--quiet"
        disabled={consent.busy}
        onClick={() => consent.say(leftOut)}
      >
        {leftOut ? texts.consent.yes : texts.consent.no}
      </button>
    </div>
  );
}
