import { DisconnectReason } from 'livekit-client';
import { texts } from '../texts';

/** What a person is told when a call is over. */
export interface Ending {
  title: string;
  detail: string | null;
}

export function endingOf(reason: DisconnectReason | undefined): Ending {
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
      return titled(texts.ended.lost, texts.ended.lostHint);
  }
}
