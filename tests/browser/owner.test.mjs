// A server that lets in by invitation: its owner is made by the link of the first start, and nobody else gets anything.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reelroom, until } from '../harness.mjs';
import { Person } from './people.mjs';

const PASSWORD = 'correct horse battery';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Asks as somebody without a browser. */
const ask = (server, method, path, body, headers = {}) =>
  fetch(server.url + path, { method, headers: { ...JSON_TYPE, ...headers }, ...(body ? { body: JSON.stringify(body) } : {}) });

/** Whoever shows nothing gets nothing. */
async function nobodyGetsIn(server, name) {
  const room = { roomName: 'Room', participantName: 'Eve' };
  const file = `/recordings/${encodeURIComponent(name)}`;
  for (const [method, path, body] of [
    ['GET', '/recordings'], ['GET', file], ['GET', `${file}/url`], ['DELETE', file], ['POST', '/token', room],
    ['POST', '/recordings/start', room], ['GET', '/metrics'], ['GET', '/openapi.json'], ['GET', '/owner/keys'],
  ]) {
    assert.equal((await ask(server, method, path, body)).status, 401, `${method} ${path}`);
  }
}

/** Signs the owner in elsewhere, and ends all other sessions from there. */
async function endOtherSessions(server) {
  const answer = await ask(server, 'POST', '/owner/session', { password: PASSWORD });
  assert.equal(answer.status, 200);
  const cookie = answer.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
  const { csrf } = await answer.json();
  const ended = await ask(server, 'DELETE', '/owner/sessions', undefined, { cookie, 'x-csrf-token': csrf });
  assert.equal(ended.status, 200);
}

test('the first start makes an owner, who records, signs out and in again where they were going', { timeout: 120_000 }, async () => {
  const server = await Reelroom.start([], { ACCESS: 'invite', LIVEKIT_API_KEY: '', LIVEKIT_API_SECRET: '' });
  const line = await until(() => server.output.find((line) => line.includes('/owner#setup=')), 'the link');
  const link = line.split(' ').at(-1);
  const person = await Person.arrive();
  const { page } = person;
  const heading = (name) => page.getByRole('heading', { name, exact: true });
  const button = (name) => page.getByRole('button', { name, exact: true });
  const type = (label, text) => page.getByLabel(label, { exact: true }).fill(text);
  const refusal = (text) => page.getByRole('alert').filter({ hasText: text }).waitFor();
  const signIn = async (password) => {
    await type('Password', password);
    await button('Sign in').click();
  };

  await page.goto(server.url);
  await heading('Sign in').waitFor();
  assert.equal(await button('Join').count(), 0, 'nothing of the page is shown');
  await signIn('a guess');
  await refusal('no password is set yet');

  await page.goto(link);
  await heading("Set the owner's password").waitFor();
  const set = async (one, other) => {
    await type('New password', one);
    await type('Once more', other);
    await button('Set the password').click();
  };
  await set(PASSWORD, 'another one');
  await refusal('two different passwords');
  await set('short', 'short');
  await refusal('at least 12 characters');
  await set(PASSWORD, PASSWORD);
  await heading('You are signed in').waitFor();
  assert.equal(page.url(), `${server.url}/owner`, 'the link is not in the address any more');

  await person.join(server.url, 'Room', 'Ada');
  await person.recordButton('Start Recording').click();
  await person.recordButton('Stop Recording').waitFor();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await person.recordButton('Stop Recording').click();
  const complete = page.locator('[data-recording][data-status=complete]');
  await complete.waitFor({ timeout: 20_000 });
  const name = await complete.getAttribute('data-recording');
  await nobodyGetsIn(server, name);

  await page.goto(`${server.url}/recordings.html`);
  await complete.getByRole('button', { name: 'Play' }).click();
  await until(() => page.evaluate(() => document.querySelector('dialog video')?.readyState >= 2), 'it plays');
  await page.keyboard.press('Escape');

  // The session ends in the middle of things: they are still there behind the form.
  await endOtherSessions(server);
  await type('Search', 'Roo');
  const form = page.getByRole('dialog');
  await form.getByText('You are not signed in any more').waitFor();
  await signIn('another guess');
  await form.getByRole('alert').filter({ hasText: 'this is not the password' }).waitFor();
  await signIn(PASSWORD);
  await form.waitFor({ state: 'detached' });
  await page.getByText('The recordings could not be loaded').waitFor({ state: 'detached' });
  assert.equal(await page.getByLabel('Search').inputValue(), 'Roo');
  await complete.waitFor();

  await button('Sign out').click();
  await heading('Sign in').waitFor();
  await page.reload();
  await heading('Sign in').waitFor();
  assert.equal(await person.recordings().count(), 0);
  await nobodyGetsIn(server, name);

  // The link is used up.
  await page.goto(link);
  await set('a password of eve', 'a password of eve');
  await refusal('this link is not valid any more');

  await page.goto(`${server.url}/recordings.html?roomName=Room`);
  await heading('Sign in').waitFor();
  await signIn(PASSWORD);
  await complete.waitFor();
  assert.equal(page.url(), `${server.url}/recordings.html?roomName=Room`, 'they are where they were going');
  assert.equal(await page.getByLabel('Room name').inputValue(), 'Room');

  await person.leave();
  await server.stop();
});
