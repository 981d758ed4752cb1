import { useEffect, useRef, useSyncExternalStore } from 'react';
import { follower, type Listener } from './follower';

/** Calls `listener` with what is told of recordings, as long as `enabled`. */
export function useTold(listener: Listener, enabled: boolean): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => (enabled ? follower.listen((told) => latest.current(told)) : undefined), [enabled]);
}

const watch = (changed: () => void) => follower.watch(changed);
const isUnheard = () => follower.isUnheard();

/** Whether the server has not been heard for so long that what is shown may not be so any more. */
export const useUnheard = (): boolean => useSyncExternalStore(watch, isUnheard);
