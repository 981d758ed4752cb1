import { texts } from '../texts';
import type { RoomRecording } from './useRoomRecording';

const LABELS = {
  idle: texts.recording.start,
  starting: texts.recording.starting,
  recording: texts.recording.stop,
  stopping: texts.recording.stopping,
} as const;

export function RecordButton({ recording, heard }: { recording: RoomRecording; heard: boolean }) {
  const { phase, start, stop } = recording;
  return (
    <button
      type="button"
      className={`button button--record button--record-${phase}`}
      disabled={!heard || phase === 'starting' || phase === 'stopping'}
      onClick={phase === 'recording' ? stop : start}
    >
      <span className="record-dot" aria-hidden="true" />
      {LABELS[phase]}
    </button>
  );
}
