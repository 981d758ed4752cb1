import { type RefObject, useState } from 'react';
import type { Watched } from '../api';
import { texts } from '../texts';

interface Props {
  watched: Watched;
  /** Where it is, for the player that comes after this one: seconds. */
  at: RefObject<number>;
  /** It gets nothing more: the link may be over. */
  onTrouble: () => void;
}

export function Film({ watched, at, onTrouble }: Props) {
  // What there was of it when it was opened: more may be added, or it may be finished, while it plays.
  const [playable, setPlayable] = useState(watched.playable);
  const [attempt, setAttempt] = useState(0);
  const [failed, setFailed] = useState(false);

  const again = () => {
    setFailed(false);
    setAttempt(attempt + 1);
  };

  if (failed) {
    return (
      <div className="player__failed" role="alert">
        <p>{texts.player.failed}</p>
        <button type="button" className="button" onClick={again}>
          {texts.player.retry}
        </button>
      </div>
    );
  }
  return (
    <video
      className="player__video"
      key={attempt}
      src={playable === null ? watched.file : `${watched.file}?through=${Math.floor(playable)}`}
      controls
      // The server sees to it; this only leaves out a button that would not work.
      {...(watched.download ? {} : { controlsList: 'nodownload' })}
      playsInline
      preload="metadata"
      onTimeUpdate={(event) => {
        at.current = event.currentTarget.currentTime;
      }}
      onLoadedMetadata={(event) => {
        if (at.current > 0) event.currentTarget.currentTime = at.current;
      }}
      onError={() => {
        if (playable === null) setFailed(true);
        else {
          // It has been finished meanwhile, and is another file: it goes on with that.
          setPlayable(null);
          setAttempt(attempt + 1);
        }
        onTrouble();
      }}
    />
  );
}
