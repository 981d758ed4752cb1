import { type Room, RoomEvent, SignalRequestError } from 'livekit-client';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { texts } from '../texts';
import type { Notice } from '../ui/Notices';
import { CONSENT, type Consent, consentIn } from './consent';

export interface OwnConsent {
  /** Null where the room does not ask. */
  said: Consent | null;
  /** An answer is on its way. */
  busy: boolean;
  say: (agrees: boolean) => void;
}

/** Why an answer does not count: to agree is put off where somebody does so again and again. */
const problemOf = (error: unknown): string =>
  error instanceof SignalRequestError && error.reasonName === 'LIMIT_EXCEEDED'
    ? texts.consent.tooOften
    : texts.consent.failed;

/** What one says oneself to being recorded. What was chosen before joining is said at once, and once: a room that opens again asks again. */
export function useConsent(
  room: Room,
  chosen: boolean | null,
  notify: (kind: Notice['kind'], text: string) => void,
): OwnConsent {
  const said = useSyncExternalStore(
    useCallback(
      (changed: () => void) => {
        const events = [
          RoomEvent.ParticipantAttributesChanged,
          RoomEvent.Connected,
          RoomEvent.Reconnected,
        ] as const;
        for (const event of events) room.on(event, changed);
        return () => {
          for (const event of events) room.off(event, changed);
        };
      },
      [room],
    ),
    () => consentIn(room.localParticipant.attributes),
  );
  const [busy, setBusy] = useState(false);
  const unsaid = useRef(chosen);

  const say = useCallback(
    (agrees: boolean) => {
      setBusy(true);
      room.localParticipant
        .setAttributes({ [CONSENT]: agrees ? 'yes' : 'no' })
        .catch((error: unknown) => notify('error', problemOf(error)))
        .finally(() => setBusy(false));
    },
    [room, notify],
  );

  useEffect(() => {
    if (said !== 'asked' || unsaid.current === null) return;
    const agrees = unsaid.current;
    unsaid.current = null;
    say(agrees);
  }, [said, say]);

  return { said, busy, say };
}
