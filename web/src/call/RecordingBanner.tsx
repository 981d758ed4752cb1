import { useEffect, useState } from 'react';
import { duration } from '../format';
import { texts } from '../texts';

interface Props {
  active: boolean;
  /** While the server is not heard nobody knows whether it records. */
  heard: boolean;
  /** Ms since 1970, this machine's clock. */
  startedAt: number | null;
}

/** Everybody sees that they are recorded, and for how long. */
export function RecordingBanner({ active, heard, startedAt }: Props) {
  const [now, setNow] = useState(Date.now());

  useEffect(() => {
    if (!active) return;
    setNow(Date.now());
    const timer = window.setInterval(() => setNow(Date.now()), 500);
    return () => window.clearInterval(timer);
  }, [active]);

  return (
    <div className="banner-slot">
      <div role="status" aria-live="assertive">
        {active && (
          <span className={`banner ${heard ? '' : 'banner--unknown'}`}>
            <span className={`record-dot ${heard ? 'record-dot--live' : ''}`} aria-hidden="true" />
            {heard ? texts.recording.banner : texts.recording.unknown}
          </span>
        )}
      </div>
      {active && heard && startedAt !== null && (
        <time className="banner__time" role="timer" aria-label={texts.recording.elapsed}>
          {duration(Math.floor(Math.max(0, now - startedAt) / 1000))}
        </time>
      )}
    </div>
  );
}
