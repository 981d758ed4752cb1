import { useLocalParticipant, useRoomContext } from '@livekit/components-react';
import { may } from '../api';
import { texts } from '../texts';
import { Icon, type IconName } from '../ui/Icon';
import { RecordButton } from './RecordButton';
import type { RoomRecording } from './useRoomRecording';

interface Props {
  recording: RoomRecording;
  /** Whether the server is. */
  heard: boolean;
  panelOpen: boolean;
  onPanel: () => void;
  onProblem: (text: string) => void;
}

export function Controls({ recording, heard, panelOpen, onPanel, onProblem }: Props) {
  const room = useRoomContext();
  const { localParticipant, isMicrophoneEnabled, isCameraEnabled, isScreenShareEnabled } =
    useLocalParticipant();
  const canShare = may('publish-screen') && typeof navigator.mediaDevices?.getDisplayMedia === 'function';

  const attempt = async (what: string, action: () => Promise<unknown>) => {
    try {
      await action();
    } catch (error) {
      // Closing the browser's own chooser is an answer, not a failure.
      const closed = what === texts.call.screen && error instanceof Error && error.name === 'NotAllowedError';
      if (!closed) onProblem(texts.call.deviceFailed(what));
    }
  };

  return (
    <nav className="controls" aria-label={texts.call.controls}>
      <div className="controls__group">
        {may('publish-microphone') && (
          <Toggle
            on={isMicrophoneEnabled}
            icon={isMicrophoneEnabled ? 'mic' : 'micOff'}
            label={isMicrophoneEnabled ? texts.call.mute : texts.call.unmute}
            onClick={() =>
              attempt(texts.call.microphone, () =>
                localParticipant.setMicrophoneEnabled(!isMicrophoneEnabled),
              )
            }
          />
        )}
        {may('publish-camera') && (
          <Toggle
            on={isCameraEnabled}
            icon={isCameraEnabled ? 'camera' : 'cameraOff'}
            label={isCameraEnabled ? texts.call.stopCamera : texts.call.startCamera}
            onClick={() =>
              attempt(texts.call.camera, () => localParticipant.setCameraEnabled(!isCameraEnabled))
            }
          />
        )}
        {canShare && (
          <button
            type="button"
            className={`button button--round ${isScreenShareEnabled ? 'button--active' : ''}`}
            aria-pressed={isScreenShareEnabled}
            aria-label={isScreenShareEnabled ? texts.call.stopShare : texts.call.share}
            title={isScreenShareEnabled ? texts.call.stopShare : texts.call.share}
            onClick={() =>
              attempt(texts.call.screen, () => localParticipant.setScreenShareEnabled(!isScreenShareEnabled))
            }
          >
            <Icon name="screen" />
          </button>
        )}
      </div>
      {may('record') && <RecordButton recording={recording} heard={heard} />}
      <div className="controls__group">
        {may('list') && (
          <button
            type="button"
            className={`button button--round ${panelOpen ? 'button--active' : ''}`}
            aria-expanded={panelOpen}
            aria-controls="recordings-panel"
            aria-label={panelOpen ? texts.list.hide : texts.list.show}
            title={panelOpen ? texts.list.hide : texts.list.show}
            onClick={onPanel}
          >
            <Icon name="film" />
          </button>
        )}
        <button
          type="button"
          className="button button--round button--danger"
          aria-label={texts.call.leave}
          title={texts.call.leave}
          onClick={() => void room.disconnect()}
        >
          <Icon name="leave" />
        </button>
      </div>
    </nav>
  );
}

function Toggle(props: { on: boolean; icon: IconName; label: string; onClick: () => void }) {
  return (
    <button
      type="button"
      className={`button button--round ${props.on ? '' : 'button--off'}`}
      aria-pressed={props.on}
      aria-label={props.label}
      title={props.label}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
