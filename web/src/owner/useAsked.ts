import { useCallback, useEffect, useState, useSyncExternalStore } from 'react';
import { ApiError, messageOf, onSession } from '../api';
import { texts } from '../texts';
import { answered, type Heard, NOTHING, unanswered } from './heard';

/** Whoever has not answered by then is not waited for. */
const ANSWER_WITHIN_MS = 10_000;

function onVisibility(changed: () => void): () => void {
  document.addEventListener('visibilitychange', changed);
  return () => document.removeEventListener('visibilitychange', changed);
}

const useVisible = () => useSyncExternalStore(onVisibility, () => document.visibilityState === 'visible');

/**
 * What the server says to a question, and what asks it once more. It is asked again after somebody has signed in anew, and, where
 * `everyMs` is given, so long after each answer while the page is looked at. Another function is another question.
 */
export function useAsked<T>(question: (signal: AbortSignal) => Promise<T>, everyMs: number | null = null) {
  const [heard, setHeard] = useState<Heard<T>>(NOTHING);
  const [round, setRound] = useState(0);
  const ask = useCallback(() => setRound((round) => round + 1), []);
  const isVisible = useVisible();
  const isPaused = everyMs !== null && !isVisible;

  useEffect(() => onSession((signedIn) => signedIn && ask()), [ask]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` asks for a fresh look.
  useEffect(() => {
    if (isPaused) return;
    let isGone = false;
    let asked = new AbortController();
    let timer = 0;

    const look = async () => {
      let goesOn = true;
      asked = new AbortController();
      const { signal } = asked;
      const late = window.setTimeout(() => asked.abort(), ANSWER_WITHIN_MS);
      try {
        const value = await question(signal);
        if (!isGone) setHeard(answered(value, Date.now()));
      } catch (error) {
        const why = signal.aborted ? texts.errors.network : messageOf(error);
        if (!isGone) setHeard((before) => unanswered(before, why));
        // Whoever is not signed in any more gets nothing until they are.
        if (error instanceof ApiError && error.status === 401) goesOn = false;
      }
      window.clearTimeout(late);
      if (everyMs !== null && goesOn && !isGone) timer = window.setTimeout(() => void look(), everyMs);
    };

    void look();
    return () => {
      isGone = true;
      asked.abort();
      window.clearTimeout(timer);
    };
  }, [question, everyMs, isPaused, round]);

  return { ...heard, heard, ask };
}
