import { ConnectionError, ConnectionErrorReason, DisconnectReason } from 'livekit-client';
import { messageOf } from '../api';
import { timeOfDay } from '../format';
import { texts } from '../texts';
import { isAway } from './comeBack';

/** What a person is told when a call is over. */
export interface Ending {
  title: string;
  detail: string | null;
}

/** Signalling works while no datagram gets through: the commonest trouble of all, and one that has a cause. */
export function refusalOf(error: unknown): Ending {
  // Other internal errors of the client have the same reason.
  const isMedia =
    error instanceof ConnectionError &&
    error.reason === ConnectionErrorReason.InternalError &&
    error.message.includes('pc connection');
  if (isMedia) return { title: texts.ended.refused, detail: texts.ended.noMedia };
  return { title: texts.ended.refused, detail: isAway(error) ? texts.ended.away : messageOf(error) };
}

/** `recordedUntil`: when the server was last heard, where it recorded then; ms since 1970. */
export function endingOf(reason: DisconnectReason | undefined, recordedUntil: number | null): Ending {
  const titled = (title: string, detail: string | null = null): Ending => ({ title, detail });
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return titled(texts.ended.left);
    case DisconnectReason.DUPLICATE_IDENTITY:
      return titled(texts.ended.duplicate);
    case DisconnectReason.PARTICIPANT_REMOVED:
      return titled(texts.ended.removed);
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return titled(texts.ended.closed);
    case DisconnectReason.SERVER_SHUTDOWN:
      return titled(texts.ended.shutdown);
    default:
      return titled(
        texts.ended.lost,
        recordedUntil === null
          ? texts.ended.lostHint
          : `${texts.ended.lostHint} ${texts.ended.wasRecorded(timeOfDay(recordedUntil))}`,
      );
  }
}
