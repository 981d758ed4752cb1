import { useEffect, useState } from 'react';
import { duration } from '../format';
import { texts } from '../texts';

/** Everybody sees that they are recorded, and for how long. `startedAt`: ms since 1970, this machine's clock. */
export function RecordingBanner({ active, startedAt }: { active: boolean; startedAt: number | null }) {
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
          <span className="banner">
            <span className="record-dot record-dot--live" aria-hidden="true" />
            {texts.recording.banner}
          </span>
        )}
      </div>
      {active && startedAt !== null && (
        <time className="banner__time" role="timer" aria-label={texts.recording.elapsed}>
          {duration(Math.floor(Math.max(0, now - startedAt) / 1000))}
        </time>
      )}
    </div>
  );
}
