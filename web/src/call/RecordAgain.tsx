import { timeOfDay } from '../format';
import { texts } from '../texts';
import type { Interruption } from './interruption';

interface Props {
  interruption: Interruption;
  onAgain: () => void;
  onNo: () => void;
}

/** Everybody is told that a recording ended with the server, and asked whether to record again. */
export function RecordAgain({ interruption, onAgain, onNo }: Props) {
  return (
    <section className="call__again" role="alert">
      <p>{texts.recording.interrupted(timeOfDay(interruption.endedAt))}</p>
      <div className="call__again-answers">
        <button type="button" className="button button--primary" onClick={onAgain}>
          {texts.recording.again}
        </button>
        <button type="button" className="button" onClick={onNo}>
          {texts.recording.notAgain}
        </button>
      </div>
    </section>
  );
}
