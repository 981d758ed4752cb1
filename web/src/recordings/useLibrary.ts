import { useCallback, useEffect, useRef, useState } from 'react';
import { isChanging, listRecordings, messageOf, onSession, type Recording, type Sort } from '../api';

const PAGE = 24;
const TYPING_MS = 250;
const BUSY_MS = 2000;

export interface Filter {
  roomName: string;
  q: string;
  sort: Sort;
}

/** `fresh` as the first page of `shown`: what is known already is replaced where it stands. */
export function merge(shown: Recording[], fresh: Recording[], sort: Sort): Recording[] {
  const news = new Map(fresh.map((recording) => [recording.id, recording]));
  const kept = shown.map((recording) => {
    const update = news.get(recording.id) ?? recording;
    news.delete(recording.id);
    return update;
  });
  return sort === '-startedAt' ? [...news.values(), ...kept] : kept;
}

/** All recordings that match, page by page; looks again by itself while one of them is unfinished. */
export function useLibrary(filter: Filter) {
  const { roomName, q, sort } = filter;
  const [recordings, setRecordings] = useState<Recording[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [clockOffset, setClockOffset] = useState(0);
  const [error, setError] = useState<string | null>(null);
  const [loading, setLoading] = useState(false);
  const [round, setRound] = useState(0);
  const first = useRef(true);
  // An answer to an older question must not land in a newer list.
  const question = useRef(0);

  const refresh = useCallback(() => setRound((round) => round + 1), []);

  useEffect(() => onSession((signedIn) => signedIn && refresh()), [refresh]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` asks for a fresh look.
  useEffect(() => {
    const abort = new AbortController();
    question.current += 1;
    const timer = window.setTimeout(
      async () => {
        try {
          const page = await listRecordings({ roomName, q, sort, limit: PAGE }, abort.signal);
          if (abort.signal.aborted) return;
          setRecordings(page.recordings);
          setCursor(page.nextCursor);
          setClockOffset(page.clockOffset);
          setError(null);
        } catch (error) {
          if (!abort.signal.aborted) setError(messageOf(error));
        }
      },
      first.current ? 0 : TYPING_MS,
    );
    first.current = false;
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [roomName, q, sort, round]);

  const busy = recordings?.some(isChanging) ?? false;
  useEffect(() => {
    if (!busy) return;
    const abort = new AbortController();
    const timer = window.setInterval(() => {
      listRecordings({ roomName, q, sort, limit: PAGE }, abort.signal).then(
        (page) => setRecordings((shown) => merge(shown ?? [], page.recordings, sort)),
        // The next look tells.
        () => {},
      );
    }, BUSY_MS);
    return () => {
      abort.abort();
      window.clearInterval(timer);
    };
  }, [busy, roomName, q, sort]);

  const more = async () => {
    if (cursor === null) return;
    const asked = question.current;
    setLoading(true);
    try {
      const page = await listRecordings({ roomName, q, sort, limit: PAGE, cursor });
      if (asked !== question.current) return;
      setRecordings((shown) => {
        const known = new Set(shown?.map(({ id }) => id));
        return [...(shown ?? []), ...page.recordings.filter(({ id }) => !known.has(id))];
      });
      setCursor(page.nextCursor);
    } catch (error) {
      setError(messageOf(error));
    } finally {
      setLoading(false);
    }
  };

  const forget = (gone: Recording) =>
    setRecordings((shown) => shown?.filter(({ id }) => id !== gone.id) ?? null);

  return { recordings, clockOffset, error, loading, hasMore: cursor !== null, more, refresh, forget };
}
