import {
  isTrackReference,
  type TrackReferenceOrPlaceholder,
  useIsMuted,
  useIsSpeaking,
  useParticipantAttributes,
  useTracks,
  VideoTrack,
} from '@livekit/components-react';
import { Track } from 'livekit-client';
import { type CSSProperties, useLayoutEffect, useRef, useState } from 'react';
import { hue, initials } from '../format';
import { texts } from '../texts';
import { Icon } from '../ui/Icon';
import { consentIn, isLeftOut } from './consent';
import { bestGrid } from './grid';

const GAP = 10;

const keyOf = ({ participant, source }: TrackReferenceOrPlaceholder) => `${participant.sid} ${source}`;

/** Everybody in the room; whoever shares the screen gets most of it. */
export function Tiles() {
  const tracks = useTracks([
    { source: Track.Source.Camera, withPlaceholder: true },
    { source: Track.Source.ScreenShare, withPlaceholder: false },
  ]);
  const shared = tracks.find((track) => track.source === Track.Source.ScreenShare);
  const others = tracks.filter((track) => track !== shared);
  return (
    <section className={`stage ${shared ? 'stage--sharing' : ''}`} aria-label={texts.call.participants}>
      {shared && (
        <div className="stage__shared">
          <Tile key={keyOf(shared)} track={shared} />
        </div>
      )}
      <TileGrid tracks={others} />
    </section>
  );
}

function TileGrid({ tracks }: { tracks: TrackReferenceOrPlaceholder[] }) {
  const element = useRef<HTMLDivElement>(null);
  const [area, setArea] = useState({ width: 0, height: 0 });

  useLayoutEffect(() => {
    const box = element.current;
    if (!box) return;
    const observer = new ResizeObserver(() => setArea({ width: box.clientWidth, height: box.clientHeight }));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);

  const narrow = area.width < area.height * 0.9;
  const { tileWidth, tileHeight } = bestGrid(
    area.width,
    area.height,
    tracks.length,
    GAP,
    narrow && tracks.length <= 2 ? 5 / 4 : 16 / 9,
  );
  const style: CSSProperties = { gap: GAP };
  return (
    <div ref={element} className="grid" style={style}>
      {tracks.map((track) => (
        <div key={keyOf(track)} className="grid__cell" style={{ width: tileWidth, height: tileHeight }}>
          <Tile track={track} />
        </div>
      ))}
    </div>
  );
}

function Tile({ track }: { track: TrackReferenceOrPlaceholder }) {
  const { participant, source } = track;
  const screen = source === Track.Source.ScreenShare;
  const speaking = useIsSpeaking(participant);
  const pictureMuted = useIsMuted(track);
  const soundMuted = useIsMuted({ participant, source: Track.Source.Microphone });
  const { attributes } = useParticipantAttributes({ participant });
  const leftOut = isLeftOut(consentIn(attributes));
  const name = participant.name || participant.identity;
  const shown = isTrackReference(track) && !pictureMuted;
  const label = screen
    ? participant.isLocal
      ? texts.call.yourScreen
      : texts.call.screenOf(name)
    : participant.isLocal
      ? texts.call.youAre(name)
      : name;
  const kind = `${screen ? 'tile--screen' : ''} ${participant.isLocal && !screen ? 'tile--mine' : ''}`;
  return (
    <figure
      className={`tile ${kind} ${speaking && !screen ? 'tile--speaking' : ''}`}
      data-participant={participant.identity}
      data-source={source}
    >
      {shown ? (
        <VideoTrack trackRef={track} />
      ) : (
        <span
          className="tile__avatar"
          aria-hidden="true"
          style={{ backgroundColor: `hsl(${hue(name)} 45% 38%)` }}
        >
          {initials(name)}
        </span>
      )}
      <figcaption>
        {!screen && soundMuted && (
          <span className="tile__muted" role="img" aria-label={texts.call.muted} title={texts.call.muted}>
            <Icon name="micOff" size={16} />
          </span>
        )}
        {leftOut && (
          <span
            className="tile__left-out"
            role="img"
            aria-label={texts.consent.mark}
            title={texts.consent.mark}
          >
            <Icon name="notRecorded" size={16} />
          </span>
        )}
        <bdi>{label}</bdi>
      </figcaption>
    </figure>
  );
}
