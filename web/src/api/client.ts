/** How a call is made, and what is thrown where it fails. */
import { texts } from '../texts';
import { address } from './base';
import { isByLink, learnSession, loseSession, proofFor, sessionProof } from './proof';
import { isObject, type Json, text } from './values';

/** The server said no, or could not be reached; `message` is fit to be shown. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status, 0 when there was no answer. */
    readonly status: number,
  ) {
    super(message);
  }
}

/** What to tell a person about anything thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error && error.message !== '' ? error.message : texts.errors.unexpected;

/** What the server said no with. */
export function refusal(status: number, answer: unknown): ApiError {
  const message = isObject(answer) ? text(answer.errorMessage) : null;
  return new ApiError(message ?? texts.errors.unexpected, status);
}

/** The server's clock minus ours, in ms, as it said last. */
let offset = 0;
export const clockOffset = (): number => offset;

function learnClock(headers: Headers): void {
  const ahead = Date.parse(headers.get('Date') ?? '') - Date.now();
  // The header counts whole seconds: less than two is no difference worth showing.
  if (!Number.isNaN(ahead)) offset = Math.abs(ahead) < 2000 ? 0 : ahead;
}

/** Where a 401 speaks of what was typed, and not of who asks; or of somebody who is leaving. */
const SIGN_INS = ['POST /owner/session', 'DELETE /owner/session', 'POST /owner/password', 'POST /watch/open'];

async function send(
  method: string,
  path: string,
  body?: Json,
  signal?: AbortSignal,
  shown?: Record<string, string>,
): Promise<{ response: Response; answer: unknown }> {
  const headers: Record<string, string> = { ...shown, ...proofFor(method) };
  if (body) headers['Content-Type'] = 'application/json';
  // A cookie has to hold where the page is, and the page alone knows that for certain.
  if (method !== 'GET') headers['X-Reelroom-Path'] = address('/');
  try {
    const response = await fetch(address(path), {
      method,
      headers,
      ...(signal ? { signal } : {}),
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    learnClock(response.headers);
    return { response, answer: await response.json().catch(() => null) };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(texts.errors.network, 0);
  }
}

export async function call(
  method: string,
  path: string,
  body?: Json,
  signal?: AbortSignal,
  shown?: Record<string, string>,
): Promise<{ body: Json }> {
  const said = sessionProof();
  let { response, answer } = await send(method, path, body, signal, shown);
  if (response.status === 403 && method !== 'GET' && !isByLink()) {
    // Somebody signed out and in again in another tab: this one proves itself by what went with the session before.
    await isSignedIn();
    const now = sessionProof();
    if (now !== null && now !== said) {
      ({ response, answer } = await send(method, path, body, signal, shown));
    }
  }
  if (response.status === 401 && !SIGN_INS.includes(`${method} ${path}`)) loseSession();
  if (!response.ok) throw refusal(response.status, answer);
  if (!isObject(answer)) throw new ApiError(texts.errors.unexpected, response.status);
  return { body: answer };
}

/** Whether this browser is signed in. What proves that this page asks is learned with it. */
export async function isSignedIn(): Promise<boolean> {
  const { body } = await call('GET', '/owner/session');
  return learnSession(body);
}
