import { duration } from '../format';
import { texts } from '../texts';
import { useNow } from '../ui/useNow';
import type { Shown } from './roomState';

interface Props {
  shown: Shown;
  /** Why the last one failed, for a while. */
  failure: string | null;
  /** While the server is not heard nobody knows whether it records. */
  heard: boolean;
  /** Ms since 1970, this machine's clock. */
  startedAt: number | null;
}

/** Everybody sees that they are recorded, and for how long; and what becomes of it. */
export function RecordingBanner({ shown, failure, heard, startedAt }: Props) {
  const active = shown.at === 'recording';
  const now = useNow(500, active);

  return (
    <div className="banner-slot">
      <div role="status" aria-live="assertive">
        {active && (
          <span className={`banner ${heard ? '' : 'banner--unknown'}`}>
            <span className={`record-dot ${heard ? 'record-dot--live' : ''}`} aria-hidden="true" />
            {heard ? texts.recording.banner : texts.recording.unknown}
          </span>
        )}
        {shown.at === 'starting' && heard && (
          <span className="banner banner--unknown">{texts.recording.isStarting}</span>
        )}
        {shown.at === 'nothing' && heard && failure !== null && (
          <span className="banner banner--unknown">{texts.recording.failed(failure)}</span>
        )}
      </div>
      {/* How far it is is read aloud by nobody: it would be each second. */}
      {shown.at === 'finishing' && heard && (
        <span className="banner banner--unknown">
          {texts.recording.isFinishing(shown.progress === null ? null : Math.floor(shown.progress * 100))}
        </span>
      )}
      {active && heard && startedAt !== null && (
        <time className="banner__time" role="timer" aria-label={texts.recording.elapsed}>
          {duration(Math.floor(Math.max(0, now - startedAt) / 1000))}
        </time>
      )}
    </div>
  );
}
