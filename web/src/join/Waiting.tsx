import type { Turn } from '../api';
import { texts } from '../texts';

interface Props {
  turn: Turn;
  onCancel: () => void;
}

/** Somebody waits to be let in. */
export function Waiting({ turn, onCancel }: Props) {
  return (
    <section className="join__form card" aria-label={texts.lobby.title}>
      <h2 className="join__waiting">{texts.lobby.title}</h2>
      <p role="status">{turn === 'alone' ? texts.lobby.alone : texts.lobby.waiting}</p>
      <button type="button" className="button button--large" onClick={onCancel}>
        {texts.lobby.cancel}
      </button>
    </section>
  );
}
