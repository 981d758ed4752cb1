import { useEffect, useState } from 'react';
import { downloadUrl, fileUrl, playbackUrl, type Recording } from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';
import { Icon } from '../ui/Icon';

interface Props {
  recording: Recording;
  onClose: () => void;
}

export function Player({ recording, onClose }: Props) {
  const { name, roomName, startedAt, duration, size } = recording;
  const [source, setSource] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  const [attempt, setAttempt] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt asks for another address.
  useEffect(() => {
    let gone = false;
    setFailed(false);
    setSource(null);
    playbackUrl(name)
      .catch(() => fileUrl(name))
      .then((url) => {
        if (!gone) setSource(url);
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
          onError={() => source !== null && setFailed(true)}
        />
      )}
      <footer className="player__facts">
        <p className="recording__facts">
          {startedAt > 0 && <span>{format.date(startedAt)}</span>}
          {duration !== null && <span>{format.duration(duration)}</span>}
          {size !== null && <span>{format.size(size)}</span>}
        </p>
        <a className="button" href={downloadUrl(name)} download={name}>
          <Icon name="download" size={18} /> {texts.list.download}
        </a>
      </footer>
    </Dialog>
  );
}
