import { useEffect, useState } from 'react';
import { runsRooms, type Waiter } from '../api';
import { texts } from '../texts';
import type { Notice } from '../ui/Notices';
import { followLobby, newcomers } from './lobby';

/** Who waits to be let into the room, for whoever runs it; nobody for others. */
export function useLobby(roomName: string, notify: (kind: Notice['kind'], text: string) => void): Waiter[] {
  const [waiting, setWaiting] = useState<Waiter[]>([]);

  useEffect(() => {
    if (!runsRooms()) return;
    const abort = new AbortController();
    let before: Waiter[] = [];
    const told = (now: Waiter[]) => {
      const [first, ...others] = newcomers(before, now);
      // One notice, however many knock at once: they push out no other one.
      if (first) {
        notify('info', others.length > 0 ? texts.lobby.count(now.length) : texts.lobby.waits(first.name));
      }
      before = now;
      setWaiting(now);
    };
    void followLobby(roomName, told, abort.signal);
    return () => abort.abort();
  }, [roomName, notify]);

  return waiting;
}
