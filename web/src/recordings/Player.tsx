import { useEffect, useRef, useState } from 'react';
import { plainUrl, playbackUrl, type Recording } from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';
import { Icon } from '../ui/Icon';
import { DownloadLink } from './DownloadLink';

interface Props {
  recording: Recording;
  onClose: () => void;
}

export function Player({ recording, onClose }: Props) {
  const { name, roomName, startedAt, duration, size } = recording;
  // What there was of it when it was opened: more may be added, or it may be finished, while it plays.
  const [playable, setPlayable] = useState(recording.playable);
  const at = useRef(0);
  const [source, setSource] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  const [attempt, setAttempt] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt asks for another address.
  useEffect(() => {
    let gone = false;
    setFailed(false);
    setSource(null);
    playbackUrl(name)
      .catch(() => plainUrl(name))
      .then((url) => {
        if (!gone) setSource(playable === null ? url : through(url, playable));
      });
    return () => {
      gone = true;
    };
  }, [name, attempt]);

  return (
    <Dialog title={roomName || name} className="dialog--player" onClose={onClose}>
      {failed ? (
        <div className="player__failed" role="alert">
          <p>{texts.player.failed}</p>
          <button type="button" className="button" onClick={() => setAttempt(attempt + 1)}>
            {texts.player.retry}
          </button>
        </div>
      ) : (
        <video
          className="player__video"
          key={attempt}
          {...(source === null ? {} : { src: source })}
          controls
          autoPlay
          playsInline
          onTimeUpdate={(event) => {
            at.current = event.currentTarget.currentTime;
          }}
          onLoadedMetadata={(event) => {
            if (at.current > 0) event.currentTarget.currentTime = at.current;
          }}
          onError={() => {
            if (source === null) return;
            if (playable === null) {
              setFailed(true);
              return;
            }
            // It has been finished meanwhile, and is another file: it goes on with that.
            setPlayable(null);
            setAttempt(attempt + 1);
          }}
        />
      )}
      <footer className="player__facts">
        <p className="recording__facts">
          {startedAt > 0 && <span>{format.date(startedAt)}</span>}
          {duration !== null && <span>{format.duration(duration)}</span>}
          {recording.playable !== null && recording.total !== null && (
            <span>
              {texts.completing(format.duration(recording.playable), format.duration(recording.total))}
            </span>
          )}
          {size !== null && <span>{format.size(size)}</span>}
        </p>
        {recording.playable === null && (
          <DownloadLink name={name} className="button">
            <Icon name="download" size={18} /> {texts.list.download}
          </DownloadLink>
        )}
      </footer>
    </Dialog>
  );
}

/** The file of so many seconds, which stays the same while more is added. */
function through(url: string, seconds: number): string {
  const address = new URL(url, window.location.href);
  address.searchParams.set('through', String(Math.floor(seconds)));
  return address.href;
}
