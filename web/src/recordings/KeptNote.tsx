import { useState } from 'react';
import { keepRecording, may, messageOf, type Recording } from '../api';
import * as format from '../format';
import { texts } from '../texts';

interface Props {
  recording: Recording;
  clockOffset: number;
  onChanged: () => void;
  onProblem: (text: string) => void;
}

/** Until when a recording is kept, where it is deleted by itself, and what keeps it for good. */
export function KeptNote({ recording, clockOffset, onChanged, onProblem }: Props) {
  const [busy, setBusy] = useState(false);
  const { name, kept, keptUntil } = recording;
  if (!kept && keptUntil === null) return null;

  const change = async () => {
    setBusy(true);
    try {
      await keepRecording(name, !kept);
      onChanged();
    } catch (error) {
      onProblem(messageOf(error));
    }
    setBusy(false);
  };

  return (
    <div className="recording__kept">
      <p className="recording__note">{keptText(kept, keptUntil, Date.now() + clockOffset)}</p>
      {may('delete') && (
        <button
          type="button"
          className="button"
          aria-label={kept ? texts.kept.letGoNamed(name) : texts.kept.keepNamed(name)}
          disabled={busy}
          onClick={() => void change()}
        >
          {kept ? texts.kept.letGo : texts.kept.keep}
        </button>
      )}
    </div>
  );
}

function keptText(kept: boolean, keptUntil: number | null, now: number): string {
  if (kept || keptUntil === null) return texts.kept.forGood;
  const date = format.date(keptUntil);
  return keptUntil <= now ? texts.kept.due(date) : texts.kept.until(date);
}
