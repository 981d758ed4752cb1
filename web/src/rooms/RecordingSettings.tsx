import { useEffect, useId, useState } from 'react';
import {
  LAYOUTS,
  messageOf,
  type OwnRoom,
  type Retention,
  retentionOf,
  setKeepDays,
  setLayout,
} from '../api';
import * as format from '../format';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';
import { choices, chosen, isSooner } from './keeping';

interface Props {
  room: OwnRoom;
  busy: boolean;
  attempt: (change: () => Promise<OwnRoom>) => Promise<void>;
}

/** How the recordings of a room look, and for how long they are kept. */
export function RecordingSettings({ room, busy, attempt }: Props) {
  const layoutId = useId();
  const keepId = useId();
  /** Days that are asked about. */
  const [asking, setAsking] = useState<number | null>(null);

  const keep = (days: number | null) => {
    if (isSooner(days, room.keepDays)) setAsking(days);
    else void attempt(() => setKeepDays(room.name, days));
  };

  const confirm = (days: number) => {
    setAsking(null);
    void attempt(() => setKeepDays(room.name, days));
  };

  return (
    <div className="rooms__recordings">
      <div className="field">
        <label htmlFor={layoutId}>{texts.rooms.layout}</label>
        <select
          id={layoutId}
          aria-label={texts.rooms.layoutOf(room.name)}
          value={room.layout ?? LAYOUTS[0]}
          disabled={busy}
          onChange={(event) => {
            const layout = LAYOUTS.find((known) => known === event.target.value) ?? null;
            void attempt(() => setLayout(room.name, layout));
          }}
        >
          {LAYOUTS.map((layout) => (
            <option key={layout} value={layout}>
              {texts.rooms.layouts[layout]}
            </option>
          ))}
        </select>
      </div>
      <div className="field">
        <label htmlFor={keepId}>{texts.rooms.keepFor}</label>
        <select
          id={keepId}
          aria-label={texts.rooms.keepForOf(room.name)}
          value={String(room.keepDays ?? '')}
          disabled={busy}
          onChange={(event) => keep(chosen(event.target.value))}
        >
          {choices(room.keepDays).map((days) => (
            <option key={days ?? 0} value={String(days ?? '')}>
              {texts.rooms.keptDays(days)}
            </option>
          ))}
        </select>
      </div>
      {asking !== null && (
        <KeepDialog room={room} days={asking} onClose={() => setAsking(null)} onConfirm={confirm} />
      )}
    </div>
  );
}

interface KeepProps {
  room: OwnRoom;
  days: number;
  onClose: () => void;
  onConfirm: (days: number) => void;
}

/** What a time would delete, before it is set. */
function KeepDialog({ room, days, onClose, onConfirm }: KeepProps) {
  const [told, setTold] = useState<Retention | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  useEffect(() => {
    const gone = new AbortController();
    retentionOf(room.name, days, gone.signal).then(setTold, (error: unknown) => {
      if (!gone.signal.aborted) setProblem(messageOf(error));
    });
    return () => gone.abort();
  }, [room.name, days]);

  const more = told === null ? 0 : told.deletes - told.first.length;
  return (
    <Dialog title={texts.rooms.keepTitle(days)} className="dialog--small" onClose={onClose}>
      <p>
        <strong>
          <bdi>{room.name}</bdi>
        </strong>
      </p>
      <p>{texts.rooms.keepHint}</p>
      <div role="status">
        {told === null && problem === null && <p>{texts.rooms.keepCounting}</p>}
        {told !== null && (
          <p>
            {told.deletesFrom === null
              ? texts.rooms.keepNothing
              : texts.rooms.keepDeletes(told.deletes, format.date(told.deletesFrom))}
          </p>
        )}
      </div>
      {told !== null && told.first.length > 0 && (
        <ul className="rooms__due">
          {told.first.map((name) => (
            <li key={name}>
              <bdi>{name}</bdi>
            </li>
          ))}
          {more > 0 && <li>{texts.rooms.keepMore(more)}</li>}
        </ul>
      )}
      {problem !== null && (
        <p className="form-error" role="alert">
          {problem}
        </p>
      )}
      <div className="row row--end">
        <button type="button" className="button" onClick={onClose}>
          {texts.rooms.keepCancel}
        </button>
        <button
          type="button"
          className="button button--danger"
          disabled={told === null}
          onClick={() => onConfirm(days)}
        >
          {texts.rooms.keepConfirm}
        </button>
      </div>
    </Dialog>
  );
}
