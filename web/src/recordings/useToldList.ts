import { type Dispatch, type SetStateAction, useCallback, useRef } from 'react';
import type { Recording, RecordingPage, Told } from '../api';
import { follower } from '../follow/follower';
import { useTold, useUnheard } from '../follow/useFollower';
import { applyTold, type View } from './toldList';

interface ToldList {
  /** Reads the list, or a page of it. What is told meanwhile is put on what was read, which may be older. */
  read: (ask: () => Promise<RecordingPage>) => Promise<RecordingPage>;
  /** The server has not been heard for a while. */
  unheard: boolean;
}

/** Keeps a list as it is told. `reload`: it has to be read anew. */
export function useToldList(
  view: View,
  setRecordings: Dispatch<SetStateAction<Recording[] | null>>,
  reload: () => void,
  enabled: boolean,
): ToldList {
  const latest = useRef(view);
  latest.current = view;
  const reading = useRef(0);
  // Of each recording the last, in order.
  const meanwhile = useRef(new Map<string, Told>());

  useTold((told) => {
    if (told.kind === 'reload') return reload();
    if (reading.current > 0) {
      const name = told.kind === 'changed' ? told.recording.name : told.name;
      meanwhile.current.delete(name);
      meanwhile.current.set(name, told);
    }
    setRecordings((shown) => shown && applyTold(shown, told, latest.current));
  }, enabled);

  const read = useCallback(async (ask: () => Promise<RecordingPage>) => {
    if (reading.current === 0) meanwhile.current.clear();
    reading.current += 1;
    try {
      const page = await ask();
      follower.heard();
      const now = { ...latest.current, hasMore: page.nextCursor !== null };
      const put = (shown: Recording[], told: Told) => applyTold(shown, told, now);
      return { ...page, recordings: [...meanwhile.current.values()].reduce(put, page.recordings) };
    } finally {
      reading.current -= 1;
    }
  }, []);

  return { read, unheard: useUnheard() };
}
