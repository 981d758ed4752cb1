import { useEffect, useState } from 'react';
import {
  type ConsentReport,
  type LeftOut,
  messageOf,
  type Recording,
  type Report,
  recordingReport,
  type TrackReport,
} from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';

interface Props {
  recording: Recording;
  onClose: () => void;
}

/** What a recording tells about itself: what was lost, what was mended, and the hash it can be checked by. */
export function ReportDialog({ recording, onClose }: Props) {
  const { name } = recording;
  const [report, setReport] = useState<Report | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  useEffect(() => {
    const gone = new AbortController();
    recordingReport(name, gone.signal)
      .then(setReport)
      .catch((error: unknown) => !gone.signal.aborted && setProblem(messageOf(error)));
    return () => gone.abort();
  }, [name]);

  return (
    <Dialog title={texts.report.title} className="dialog--report" onClose={onClose}>
      <p className="dialog__name">
        <bdi>{name}</bdi>
      </p>
      {problem !== null && (
        <p role="alert">
          {texts.report.failed}: {problem}
        </p>
      )}
      {report === null && problem === null && <p>{texts.report.loading}</p>}
      {report !== null && <Told recording={recording} report={report} />}
    </Dialog>
  );
}

function Told({ recording, report }: { recording: Recording; report: Report }) {
  const { tracks, skipped, suspended, droppedFrames, sha256, consents } = report;
  const costs = [
    recording.error,
    recording.lostSeconds === null ? null : texts.recovered(recording.lostSeconds),
    droppedFrames === 0 ? null : texts.report.dropped(droppedFrames),
    ...skipped.map(({ participant, fromSeconds, toSeconds, why }) =>
      texts.report.skipped(participant, format.duration(fromSeconds), format.duration(toSeconds), why),
    ),
    ...suspended.map(({ fromSeconds, toSeconds }) =>
      texts.report.restarted(format.duration(fromSeconds), Math.ceil(toSeconds - fromSeconds)),
    ),
    tracks?.some(({ leftOut }) => leftOut !== null && !isByChoice(leftOut)) ? texts.report.incomplete : null,
    tracks?.some(({ leftOut }) => leftOut !== null && isByChoice(leftOut)) ? texts.report.unwilling : null,
  ].filter((cost) => cost !== null);
  const complete = recording.status === 'complete';
  const whole = tracks?.every((track) => !losesWhatArrived(track)) ?? false;
  return (
    <>
      {costs.length > 0 && (
        <ul className="report__costs">
          {costs.map((cost) => (
            <li key={cost}>{cost}</li>
          ))}
        </ul>
      )}
      {costs.length === 0 && whole && complete && <p className="report__whole">{texts.report.whole}</p>}
      {tracks === null && complete && <p>{texts.report.unknown}</p>}
      {tracks?.length === 0 && complete && <p>{texts.report.nobody}</p>}
      {tracks !== null && tracks.length > 0 && (
        <ul className="report__tracks">
          {tracks.map((track) => (
            <Track key={track.id} track={track} />
          ))}
        </ul>
      )}
      {consents.length > 0 && <Consents consents={consents} />}
      {sha256 !== null && (
        <p className="report__hash">
          {texts.report.hash}
          <code>{sha256}</code>
        </p>
      )}
    </>
  );
}

/** Whose it is did not want it to be in the file. */
const isByChoice = ({ why }: LeftOut): boolean => why === 'not_agreed' || why === 'declined';

/** Who agreed to being recorded, and when. */
function Consents({ consents }: { consents: ConsentReport[] }) {
  return (
    <section className="report__consents">
      <h3>{texts.report.consents}</h3>
      <ul>
        {consents.map((consent) => (
          <li key={`${consent.identity} ${consent.who} ${answersOf(consent)}`}>
            <bdi>{consent.who}</bdi>: {answersOf(consent)}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What somebody said, in the order of time. */
function answersOf({ agreedAt, declinedAt, withdrawnAt }: ConsentReport): string {
  const said = [
    { at: agreedAt, told: texts.report.agreed },
    { at: declinedAt, told: texts.report.declined },
    { at: withdrawnAt, told: texts.report.withdrawn },
  ].flatMap(({ at, told }) => (at === null ? [] : [{ at, text: told(format.date(at)) }]));
  said.sort((one, other) => one.at - other.at);
  return said.length === 0 ? texts.report.unanswered : said.map(({ text }) => text).join(', ');
}

/** Something of it reached the server and is not in the file. */
function losesWhatArrived(track: TrackReport): boolean {
  const { gaps, lostPackets, droppedFrames, broken, misplaced, unusablePackets } = track;
  const isInterrupted = gaps.count > 0 && lostPackets === 0;
  return broken > 0 || misplaced > 0 || unusablePackets > 0 || droppedFrames > 0 || isInterrupted;
}

/** What is worth telling of a track. */
function troubles(track: TrackReport): string[] {
  const { gaps, freezes, lostPackets, droppedFrames, concealedSeconds, broken, misplaced } = track;
  const { leftOut, unusablePackets } = track;
  const missing =
    leftOut !== null &&
    texts.report.leftOut(
      leftOut.why,
      format.duration(leftOut.fromSeconds),
      format.duration(leftOut.toSeconds),
    );
  if (track.frames === 0) return [missing || texts.report.nothing];
  return [
    missing,
    lostPackets > 0 && texts.report.gaps(gaps.count, gaps.seconds, lostPackets),
    unusablePackets > 0 && texts.report.unusable(unusablePackets),
    droppedFrames > 0 && texts.report.dropped(droppedFrames),
    freezes.count > 0 && texts.report.frozen(freezes.count, freezes.seconds),
    concealedSeconds >= 0.005 && texts.report.concealed(concealedSeconds),
    broken > 0 && texts.report.broken(broken),
    misplaced > 0 && texts.report.misplaced(misplaced),
    gaps.count > 0 && lostPackets + droppedFrames === 0 && texts.report.unfinished(gaps.count, gaps.seconds),
  ].filter((trouble) => trouble !== false);
}

function Track({ track }: { track: TrackReport }) {
  const { source, codecs, size, worstOffsetMs, driftPpm } = track;
  const told = troubles(track);
  return (
    <li className="report__track">
      <p className="report__whose">
        <bdi>{track.whose}</bdi>{' '}
        <span>{source === null ? texts.report.unknownSource : texts.report.source[source]}</span>
      </p>
      <p className="recording__facts">
        <span>{texts.report.span(format.duration(track.fromSeconds), format.duration(track.toSeconds))}</span>
        {codecs.length > 0 && <span>{codecs.map(format.codec).join(', ')}</span>}
        {size !== null && (
          <span>
            {size.width} × {size.height}
          </span>
        )}
      </p>
      {told.length === 0 && <p className="report__fine">{texts.report.fine}</p>}
      {told.map((trouble) => (
        <p key={trouble} className="report__trouble">
          {trouble}
        </p>
      ))}
      {worstOffsetMs !== null && <p className="report__fine">{texts.report.offset(worstOffsetMs)}</p>}
      {driftPpm !== null && Math.abs(driftPpm) >= 10 && (
        <p className="report__fine">{texts.report.drift(driftPpm)}</p>
      )}
    </li>
  );
}
