import { useCallback, useEffect, useState } from 'react';
import { listRooms, messageOf, type OwnRoom, onSession } from '../api';

const byName = (one: OwnRoom, other: OwnRoom) => one.name.localeCompare(other.name);

/** The owner's rooms, by name; null until they are there. */
export function useRooms() {
  const [rooms, setRooms] = useState<OwnRoom[] | null>(null);
  const [error, setError] = useState<string | null>(null);

  const load = useCallback(() => {
    listRooms().then(
      (all) => {
        setRooms(all.sort(byName));
        setError(null);
      },
      (error: unknown) => setError(messageOf(error)),
    );
  }, []);
  useEffect(load, [load]);
  useEffect(() => onSession((signedIn) => signedIn && load()), [load]);

  const put = (room: OwnRoom) =>
    setRooms((all) => [...(all ?? []).filter((other) => other.name !== room.name), room].sort(byName));
  const forget = (room: OwnRoom) =>
    setRooms((all) => (all ?? []).filter((other) => other.name !== room.name));

  return { rooms, error, load, put, forget };
}
