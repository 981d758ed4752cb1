import { useState } from 'react';
import {
  deleteRecording,
  isUnfinished,
  may,
  messageOf,
  type Recording,
  retryUpload,
  type Upload,
} from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';
import { Icon } from '../ui/Icon';
import { useNow } from '../ui/useNow';
import { DownloadLink } from './DownloadLink';
import { KeptNote } from './KeptNote';
import { Player } from './Player';
import { ReportDialog } from './ReportDialog';
import { ShareDialog } from './ShareDialog';

interface Props {
  /** null: not loaded yet. */
  recordings: Recording[] | null;
  error: string | null;
  empty: { title: string; hint: string };
  showRoom: boolean;
  clockOffset: number;
  /** Whether the server is, otherwise than by this list. */
  heard?: boolean;
  onRetry: () => void;
  onDeleted: (recording: Recording) => void;
  onProblem: (text: string) => void;
}

/** Recordings as cards, with what can be done to them. */
export function RecordingList(props: Props) {
  const { recordings, error, empty, showRoom } = props;
  const current = error === null && props.heard !== false;
  const [playing, setPlaying] = useState<Recording | null>(null);
  const [asking, setAsking] = useState<Recording | null>(null);
  const [sharing, setSharing] = useState<Recording | null>(null);
  const [removing, setRemoving] = useState<Recording | null>(null);

  return (
    <>
      {error !== null && (
        <div className="list-error" role="alert">
          <p>
            {texts.list.failed}: {error}
          </p>
          <button type="button" className="button" onClick={props.onRetry}>
            {texts.list.retry}
          </button>
        </div>
      )}
      {recordings === null && error === null && <p className="list-empty">{texts.list.loading}</p>}
      {recordings?.length === 0 && (
        <div className="list-empty">
          <Icon name="film" size={40} />
          <p className="list-empty__title">{empty.title}</p>
          <p>{empty.hint}</p>
        </div>
      )}
      {recordings !== null && recordings.length > 0 && (
        <ul className={`recordings ${showRoom ? 'recordings--wide' : ''}`}>
          {recordings.map((recording) => (
            <Item
              key={recording.id}
              recording={recording}
              clockOffset={props.clockOffset}
              current={current}
              onPlay={() => setPlaying(recording)}
              onReport={() => setAsking(recording)}
              onShare={() => setSharing(recording)}
              onRemove={() => setRemoving(recording)}
              onChanged={props.onRetry}
              onProblem={props.onProblem}
            />
          ))}
        </ul>
      )}
      {playing && <Player recording={playing} onClose={() => setPlaying(null)} />}
      {asking && <ReportDialog recording={asking} onClose={() => setAsking(null)} />}
      {sharing && <ShareDialog recording={sharing} onClose={() => setSharing(null)} />}
      {removing && (
        <RemoveDialog
          recording={removing}
          onClose={() => setRemoving(null)}
          onDeleted={props.onDeleted}
          onProblem={props.onProblem}
        />
      )}
    </>
  );
}

interface ItemProps {
  recording: Recording;
  clockOffset: number;
  /** False: it is as it was when the server was last heard. */
  current: boolean;
  onPlay: () => void;
  onReport: () => void;
  onShare: () => void;
  onRemove: () => void;
  /** It is another one than it was: read the list. */
  onChanged: () => void;
  onProblem: (text: string) => void;
}

function Item({ recording, clockOffset, current, ...props }: ItemProps) {
  const { onPlay, onReport, onShare, onRemove, onProblem } = props;
  const { name, status, startedAt, size } = recording;
  const ready = status === 'complete';
  const title = recording.roomName || name;
  return (
    <li className="recording" data-recording={name} data-status={status}>
      <div className="recording__head">
        <strong className="recording__room">
          <bdi>{title}</bdi>
        </strong>
        <StatusChip recording={recording} current={current} />
      </div>
      <p className="recording__name" title={name}>
        <bdi>{name}</bdi>
      </p>
      <p className="recording__facts">
        {startedAt > 0 && <time dateTime={new Date(startedAt).toISOString()}>{format.date(startedAt)}</time>}
        <Length recording={recording} clockOffset={clockOffset} current={current} />
        {ready && size !== null && <span>{format.size(size)}</span>}
      </p>
      {status === 'finishing' && current && (
        <progress
          className="recording__progress"
          max={1}
          {...(recording.progress === null ? {} : { value: recording.progress })}
        >
          {texts.status.finishing}
        </progress>
      )}
      {recording.playable !== null && recording.total !== null && (
        <>
          <p className="recording__note">
            {texts.completing(format.duration(recording.playable), format.duration(recording.total))}
          </p>
          <div className="recording__actions">
            <button
              type="button"
              className="button button--primary"
              aria-label={texts.list.playNamed(name)}
              onClick={onPlay}
            >
              <Icon name="play" size={18} /> {texts.list.play}
            </button>
          </div>
        </>
      )}
      {status === 'failed' && <p className="recording__error">{recording.error ?? texts.failedUnknown}</p>}
      {status !== 'failed' && recording.error !== null && (
        <p className="recording__error">{recording.error}</p>
      )}
      {ready && recording.lostSeconds !== null && (
        <p className="recording__note">{texts.recovered(recording.lostSeconds)}</p>
      )}
      {recording.upload && (
        <UploadNote name={name} upload={recording.upload} clockOffset={clockOffset} onProblem={onProblem} />
      )}
      {recording.inBackup && <p className="recording__note">{texts.upload.inBackup}</p>}
      <KeptNote
        recording={recording}
        clockOffset={clockOffset}
        onChanged={props.onChanged}
        onProblem={onProblem}
      />
      {!isUnfinished(recording) && (
        <div className="recording__actions">
          {ready && (
            <>
              {may('play') && (
                <button
                  type="button"
                  className="button button--primary"
                  aria-label={texts.list.playNamed(name)}
                  onClick={onPlay}
                >
                  <Icon name="play" size={18} /> {texts.list.play}
                </button>
              )}
              <DownloadLink
                name={name}
                className="button button--icon"
                label={texts.list.downloadNamed(name)}
                title={texts.list.download}
                onProblem={onProblem}
              >
                <Icon name="download" size={20} />
              </DownloadLink>
              {may('share') && (
                <button
                  type="button"
                  className="button button--icon"
                  aria-label={texts.share.named(name)}
                  title={texts.share.button}
                  onClick={onShare}
                >
                  <Icon name="share" size={20} />
                </button>
              )}
            </>
          )}
          {!recording.upload && may('report') && (
            <button
              type="button"
              className="button button--icon"
              aria-label={texts.list.reportNamed(name)}
              title={texts.list.report}
              onClick={onReport}
            >
              <Icon name="info" size={20} />
            </button>
          )}
          {may('delete') && (
            <button
              type="button"
              className="button button--icon button--remove"
              aria-label={texts.list.removeNamed(name)}
              title={texts.list.remove}
              onClick={onRemove}
            >
              <Icon name="trash" size={20} />
            </button>
          )}
        </div>
      )}
    </li>
  );
}

interface UploadProps {
  name: string;
  upload: Upload;
  clockOffset: number;
  onProblem: (text: string) => void;
}

/** A recording that plays from the server's disk until the store has it. */
export function UploadNote({ name, upload, clockOffset, onProblem }: UploadProps) {
  const percent = Math.floor(upload.progress * 100);
  const now = useNow(1000, upload.nextTryAt !== null);
  if (upload.state === 'uploading' || upload.state === 'verifying') {
    return <p className="recording__note">{texts.upload[upload.state](percent)}</p>;
  }
  if (upload.lastError === null) {
    return <p className="recording__note">{texts.upload.waiting}</p>;
  }
  const secondsLeft =
    upload.nextTryAt === null ? 0 : Math.ceil((upload.nextTryAt - now - clockOffset) / 1000);
  const retry = () => {
    retryUpload(name).catch((error: unknown) => onProblem(messageOf(error)));
  };
  return (
    <div className="recording__error">
      <p>{texts.upload.failed(upload.lastError)}</p>
      <p>{texts.upload.next(upload.attempts, secondsLeft)}</p>
      <button type="button" className="button" onClick={retry}>
        {texts.upload.retry}
      </button>
    </div>
  );
}

function StatusChip({ recording, current }: { recording: Recording; current: boolean }) {
  const { status, progress } = recording;
  if (!current && isUnfinished(recording)) {
    return (
      <span className="chip" role="status">
        {texts.status.unknown}
      </span>
    );
  }
  const percent = status === 'finishing' && progress !== null ? ` ${Math.floor(progress * 100)} %` : '';
  return (
    <span className={`chip chip--${status}`} role="status">
      {texts.status[status]}
      {percent}
    </span>
  );
}

/** Its length; for one that still runs, how long it has been running. */
function Length({
  recording,
  clockOffset,
  current,
}: {
  recording: Recording;
  clockOffset: number;
  current: boolean;
}) {
  const running = recording.status === 'recording' && current;
  const now = useNow(500, running);

  if (running) {
    return (
      <span>{format.duration(Math.floor(Math.max(0, now + clockOffset - recording.startedAt) / 1000))}</span>
    );
  }
  return recording.duration === null ? null : <span>{format.duration(recording.duration)}</span>;
}

interface RemoveProps {
  recording: Recording;
  onClose: () => void;
  onDeleted: (recording: Recording) => void;
  onProblem: (text: string) => void;
}

function RemoveDialog({ recording, onClose, onDeleted, onProblem }: RemoveProps) {
  const [deleting, setDeleting] = useState(false);

  const remove = async () => {
    setDeleting(true);
    try {
      await deleteRecording(recording.name);
      onDeleted(recording);
    } catch (error) {
      onProblem(messageOf(error));
    }
    onClose();
  };

  return (
    <Dialog title={texts.remove.title} className="dialog--small" onClose={onClose}>
      <p className="dialog__name">
        <bdi>{recording.name}</bdi>
      </p>
      <p>{texts.remove.hint}</p>
      <div className="row row--end">
        <button type="button" className="button" onClick={onClose}>
          {texts.remove.cancel}
        </button>
        <button type="button" className="button button--danger" disabled={deleting} onClick={remove}>
          {deleting ? texts.remove.deleting : texts.remove.confirm}
        </button>
      </div>
    </Dialog>
  );
}
