/** Coming into a room by a link. */
import { texts } from '../texts';
import { ApiError, call } from './client';
import { comeBy, learnGranted } from './proof';
import { text, words } from './values';

export interface Invitation {
  roomName: string;
  role: 'host' | 'guest';
  /** Whether a host lets guests in. */
  lobby: boolean;
  /** Whether the room records only those who agree. */
  asksConsent: boolean;
}

/** Comes by a link from now on. */
export async function openLink(secret: string): Promise<Invitation> {
  comeBy(secret);
  const { body } = await call('GET', '/link');
  const roomName = text(body.roomName);
  if (roomName === null) throw new ApiError(texts.errors.unexpected, 200);
  learnGranted(words(body.rights));
  return {
    roomName,
    role: body.role === 'host' ? 'host' : 'guest',
    lobby: body.lobby === true,
    asksConsent: body.consent === true,
  };
}
