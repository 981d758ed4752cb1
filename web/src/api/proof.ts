/**
 * What each request shows of who asks: the session of this browser, and the link by which the page came. Only this module
 * changes it, and it lives as long as the page.
 */
import { type Json, text } from './values';

/**
 * What proves to the server that this page asks, and not another one that has the browser show its cookie; null while nobody
 * is signed in.
 */
let csrf: string | null = null;
const sessionListeners = new Set<(signedIn: boolean) => void>();

/** Calls `listener` when somebody has signed in, and when the server does not know who asks; gives what ends that. */
export function onSession(listener: (signedIn: boolean) => void): () => void {
  sessionListeners.add(listener);
  return () => sessionListeners.delete(listener);
}

/** Says whether somebody is signed in to all who listen. */
export function tellSession(signedIn: boolean): void {
  for (const listener of sessionListeners) listener(signedIn);
}

/** Takes over what the server says of the session; gives whether somebody is signed in. */
export function learnSession(body: Json): boolean {
  csrf = body.signedIn === true ? text(body.csrf) : null;
  return csrf !== null;
}

/** Nobody is signed in any more, and nobody is told. */
export function forgetSession(): void {
  csrf = null;
}

/** The server does not know who asks. */
export function loseSession(): void {
  forgetSession();
  tellSession(false);
}

/** What proves that this page asks; it is another one after each time that somebody signs in. */
export const sessionProof = (): string | null => csrf;

/** The secret of the link by which this page came into a room; null where it came by none. It is shown with each request, and kept nowhere. */
let link: string | null = null;
/** What the link grants. */
let granted: readonly string[] = [];

/** Whoever asks comes by this link from now on. What it grants is not known yet. */
export function comeBy(secret: string): void {
  link = secret;
  granted = [];
}

export function learnGranted(rights: readonly string[]): void {
  granted = rights;
}

/** Whether this page came by a link: a browser shows none with what it asks for by itself, as a download. */
export const isByLink = (): boolean => link !== null;

/** Whether it is worth offering: whoever came by a link may do what that grants, and the server decides in any case. */
export const may = (right: string): boolean => link === null || granted.includes(right);

/** Whether there is anything to show the server of who asks. */
export const isKnown = (): boolean => link !== null || csrf !== null;

/** The headers that show it. Nobody has to prove that it was this page that looked. */
export function proofFor(method: string): Record<string, string> {
  return {
    ...(csrf !== null && method !== 'GET' ? { 'X-CSRF-Token': csrf } : {}),
    ...(link !== null ? { 'X-Reelroom-Link': link } : {}),
  };
}
