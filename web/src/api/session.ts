/** Being signed in, in this browser. The owner's other browsers are in `owner/access.ts`. */
import { ApiError, call, isSignedIn } from './client';
import { forgetSession, learnSession, tellSession } from './proof';

/** Takes up the session that this browser has: it was begun in another tab, or where nobody has to sign in. */
export async function resumeSession(): Promise<void> {
  if (await isSignedIn()) tellSession(true);
}

export async function signIn(password: string): Promise<void> {
  const { body } = await call('POST', '/owner/session', { password });
  tellSession(learnSession(body));
}

/** By the link that the server printed. Whoever does so is signed in. */
export async function setPassword(link: string, password: string): Promise<void> {
  const { body } = await call('POST', '/owner/password', { link, password });
  tellSession(learnSession(body));
}

/** All other sessions end. Whoever does so stays signed in. */
export async function changePassword(old: string, password: string): Promise<void> {
  const { body } = await call('PUT', '/owner/password', { old, new: password });
  learnSession(body);
}

/** Whoever is signed out already is so too. */
export async function signOut(): Promise<void> {
  try {
    await call('DELETE', '/owner/session');
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
  }
  forgetSession();
}
