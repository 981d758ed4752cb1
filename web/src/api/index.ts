/**
 * Every call to the server, in one place; those of the owner's page stand beside it in `owner`. What the server answers is
 * checked there and nowhere else.
 *
 * `client.ts` makes the calls and `proof.ts` knows what they show of who asks; the other modules have a matter each. Nothing
 * is done as they are loaded, so that what a page does not use of them can be left out of it.
 */

export { address, prefixOf } from './base';
export { ApiError, clockOffset, isSignedIn, messageOf } from './client';
export * from './events';
export * from './joining';
export * from './link';
export * from './moderation';
export { isByLink, may, onSession } from './proof';
export * from './recordings';
export * from './report';
export * from './rooms';
export * from './session';
export * from './settings';
export * from './shares';
