import { useCallback, useEffect, useRef, useState } from 'react';
import { listRecordings, messageOf, onSession, type Recording, type Sort } from '../api';
import { useToldList } from './useToldList';

const PAGE = 24;
/** The server gives no more at once. */
const MOST = 1000;
const TYPING_MS = 250;

export interface Filter {
  roomName: string;
  q: string;
  sort: Sort;
}

/** All recordings that match, page by page, as they are told. */
export function useLibrary(filter: Filter) {
  const { roomName, q, sort } = filter;
  const [recordings, setRecordings] = useState<Recording[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [clockOffset, setClockOffset] = useState(0);
  const [error, setError] = useState<string | null>(null);
  const [loading, setLoading] = useState(false);
  const [round, setRound] = useState(0);
  // An answer to an older question must not land in a newer list.
  const question = useRef(0);
  // Whoever looks anew at the same list sees as much of it as before.
  const shown = useRef({ of: '', count: 0 });
  const of = JSON.stringify([roomName, q, sort]);
  const asked = useRef(of);

  const refresh = useCallback(() => setRound((round) => round + 1), []);
  const view = { roomName, q, sort, hasMore: cursor !== null };
  const { read, unheard } = useToldList(view, setRecordings, refresh, true);

  useEffect(() => onSession((signedIn) => signedIn && refresh()), [refresh]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` asks for a fresh look.
  useEffect(() => {
    const abort = new AbortController();
    question.current += 1;
    // Whoever types is not done yet.
    const wait = asked.current === of ? 0 : TYPING_MS;
    asked.current = of;
    const timer = window.setTimeout(async () => {
      const before = shown.current.of === of ? shown.current.count : 0;
      const limit = Math.min(MOST, Math.max(PAGE, before));
      try {
        const page = await read(() => listRecordings({ roomName, q, sort, limit }, abort.signal));
        if (abort.signal.aborted) return;
        shown.current = { of, count: page.recordings.length };
        setRecordings(page.recordings);
        setCursor(page.nextCursor);
        setClockOffset(page.clockOffset);
        setError(null);
      } catch (error) {
        if (!abort.signal.aborted) setError(messageOf(error));
      }
    }, wait);
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [roomName, q, sort, of, read, round]);

  const more = async () => {
    if (cursor === null) return;
    const asking = question.current;
    setLoading(true);
    try {
      const page = await read(() => listRecordings({ roomName, q, sort, limit: PAGE, cursor }));
      if (asking !== question.current) return;
      shown.current.count += page.recordings.length;
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

  const hasMore = cursor !== null;
  return { recordings, clockOffset, error, loading, unheard, hasMore, more, refresh, forget };
}
