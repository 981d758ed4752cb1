import { useEffect, useState } from 'react';
import { messageOf, type Recording, type Share, type ShareView, shareViews } from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { facts, isOver, reached } from './shares';

interface Props {
  recording: Recording;
  share: Share;
  onRevoke: (share: Share) => Promise<void>;
}

/** A link, with what can be done about it, and who watched by it. */
export function ShareItem({ recording, share, onRevoke }: Props) {
  const [open, setOpen] = useState(false);
  const [revoking, setRevoking] = useState(false);
  const now = Date.now();
  const title = share.name || texts.share.unnamed;

  const revoke = async () => {
    setRevoking(true);
    await onRevoke(share);
    setRevoking(false);
  };

  return (
    <li className="share__item" data-share={share.id}>
      <p className="share__name">
        <bdi>{title}</bdi>{' '}
        <time dateTime={new Date(share.madeAt).toISOString()}>{format.date(share.madeAt)}</time>
      </p>
      <p className="recording__facts">
        {facts(share, now).map((fact) => (
          <span key={fact}>{fact}</span>
        ))}
      </p>
      <div className="row">
        <button
          type="button"
          className="button"
          aria-expanded={open}
          aria-label={texts.share.viewsNamed(title)}
          onClick={() => setOpen(!open)}
        >
          {texts.share.views}
        </button>
        {!isOver(share, now) && (
          <button
            type="button"
            className="button button--danger"
            aria-label={texts.share.revokeNamed(title)}
            disabled={revoking}
            onClick={() => void revoke()}
          >
            {texts.share.revoke}
          </button>
        )}
      </div>
      {open && <Views recording={recording} id={share.id} told={share} />}
    </li>
  );
}

interface ViewsProps {
  recording: Recording;
  /** Of the link. */
  id: string;
  /** The link as it was told last. */
  told: Share;
}

function Views({ recording, id, told }: ViewsProps) {
  const [views, setViews] = useState<ShareView[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const { name, size } = recording;

  // biome-ignore lint/correctness/useExhaustiveDependencies: it is asked again whenever the link is told anew.
  useEffect(() => {
    const gone = new AbortController();
    shareViews(name, id, gone.signal)
      .then(setViews)
      .catch((error: unknown) => !gone.signal.aborted && setProblem(messageOf(error)));
    return () => gone.abort();
  }, [name, id, told]);

  if (problem !== null) return <p role="alert">{problem}</p>;
  if (views === null) return <p>{texts.report.loading}</p>;
  if (views.length === 0) return <p>{texts.share.nobody}</p>;
  return (
    <ul className="share__views">
      {views.map(({ id: view, begunAt, address, reachedBytes }) => (
        <li key={view} className="recording__facts" data-view={view}>
          <time dateTime={new Date(begunAt).toISOString()}>{format.date(begunAt)}</time>
          <span>{address ?? texts.share.somewhere}</span>
          <span>{texts.share.reached(reached(reachedBytes, size))}</span>
        </li>
      ))}
    </ul>
  );
}
