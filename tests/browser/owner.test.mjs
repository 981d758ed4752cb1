// A server that lets in by invitation: its owner is made by the link of the first start, and nobody else gets anything.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { Reelroom, until } from '../harness.mjs';
import { FirefoxPerson } from './firefox-person.mjs';
import { becomeOwner, Person } from './people.mjs';

const PASSWORD = 'correct horse battery';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Asks as somebody without a browser. */
const ask = (server, method, path, body, headers = {}) =>
  fetch(server.url + path, { method, headers: { ...JSON_TYPE, ...headers }, ...(body ? { body: JSON.stringify(body) } : {}) });

/** Signs the owner in elsewhere, and ends all other sessions from there. */
async function endOtherSessions(server) {
  const answer = await ask(server, 'POST', '/owner/session', { password: PASSWORD });
  assert.equal(answer.status, 200);
  const cookie = answer.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
  const { csrf } = await answer.json();
  const ended = await ask(server, 'DELETE', '/owner/sessions', undefined, { cookie, 'x-csrf-token': csrf });
  assert.equal(ended.status, 200);
}

test('the first start makes an owner, who signs out and in again where they were going', { timeout: 120_000 }, async () => {
  const server = await Reelroom.start([], { ACCESS: 'invite', LIVEKIT_API_KEY: '', LIVEKIT_API_SECRET: '' });
  const link = await server.ownerLink();
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
  assert.equal(page.url(), `${server.url}/owner#rooms`, 'the link is not in the address any more');

  await page.goto(`${server.url}/recordings.html`);
  await page.getByText('No recordings yet').waitFor();

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

  await button('Sign out').click();
  await heading('Sign in').waitFor();
  await page.reload();
  await heading('Sign in').waitFor();
  assert.equal(await page.getByLabel('Search').count(), 0, 'nothing of the page is shown');

  // The link is used up.
  await page.goto(link);
  await set('a password of eve', 'a password of eve');
  await refusal('this link is not valid any more');

  await page.goto(`${server.url}/recordings.html?roomName=Room`);
  await heading('Sign in').waitFor();
  await signIn(PASSWORD);
  await page.getByText('No recording matches').waitFor();
  assert.equal(page.url(), `${server.url}/recordings.html?roomName=Room`, 'they are where they were going');
  assert.equal(await page.getByLabel('Room name').inputValue(), 'Room');

  await person.leave();
  await server.stop();
});

/** A program that is told of recordings; `status` is what it answers. */
async function receiver() {
  const told = { status: 200, events: [] };
  told.server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    told.events.push(JSON.parse(body).event);
    response.writeHead(told.status).end();
  });
  await new Promise((resolve) => told.server.listen(0, '127.0.0.1', resolve));
  told.place = `http://127.0.0.1:${told.server.address().port}`;
  return told;
}

/** Goes to a part of the page by its address: a form may stand above its links. */
const goes = (person, section) =>
  person.page.evaluate((section) => {
    window.location.hash = section;
  }, section);

/** Nothing stands above the page any more. */
const noDialog = (person) =>
  until(() => person.page.evaluate(() => document.querySelector('dialog') === null), 'the dialog is gone');

/** Makes a key by the page, uses it and revokes it. */
async function makesAndRevokesAKey(person, server, name) {
  const reads = async (secret) => {
    const answer = await ask(server, 'GET', '/recordings', undefined, { authorization: `Bearer ${secret}` });
    return answer.status;
  };
  await person.follow('API keys');
  await person.press('Make a key');
  await person.reads('Please enter a name');
  await person.type('Name of a new key', name);
  await person.press('Make a key');
  await person.reads('Please tick what it may do.');
  await person.tick('See which recordings there are');
  await person.press('Make a key');
  await person.reads('The key is shown this once');
  const secret = await person.typed('Key');
  assert.match(secret, /^rr_/);
  assert.equal(await reads(secret), 200);
  await person.press(`Revoke the key ${name}`);
  await person.press('Cancel');
  assert.equal(await reads(secret), 200, 'nothing was confirmed');
  await person.press(`Revoke the key ${name}`);
  await person.press('Revoke');
  await until(async () => (await reads(secret)) === 401, 'the key opens nothing');
  await noDialog(person);
}

/** Tests who is told, while they take it and while they do not. */
async function testsReceivers(person, hook) {
  await person.follow('Receivers');
  await person.reads(hook.place);
  hook.status = 200;
  await person.press('Test them');
  await person.reads('Taken with 200 in');
  hook.status = 500;
  await person.press('Test them');
  await person.reads('Not taken:');
  hook.status = 200;
  assert.ok(hook.events.includes('test'), hook.events.join());
  assert.ok(!(await person.page.evaluate(() => document.body.textContent)).includes('hush'), 'the address is shown in part');
}

/** In a page: which acts of the audit log are shown. */
const actsShown = () => [...document.querySelectorAll('[data-act]')].map((row) => row.dataset.act);

/** Finds in the audit log what was done. */
async function readsTheLog(person) {
  await person.follow('Audit log');
  for (const text of ['Signed in', 'Key made', 'Key revoked', 'Receivers tested', 'Session ended']) await person.reads(text);
  await person.type('Search', 'key.revoked');
  await until(async () => {
    const acts = await person.page.evaluate(actsShown);
    return acts.length >= 2 && acts.every((act) => act === 'key.revoked');
  }, 'what is searched, and nothing else');
}

test('the owner sees what goes on and acts on it, in Chromium and in Firefox', { timeout: 240_000 }, async () => {
  const hook = await receiver();
  const server = await Reelroom.start([], {
    ACCESS: 'invite',
    LIVEKIT_API_KEY: '',
    LIVEKIT_API_SECRET: '',
    WEBHOOK_URLS: `${hook.place}/?key=hush`,
  });
  const [ada, fox] = await Promise.all([Person.arrive(), FirefoxPerson.arrive({ devices: false })]);
  const { page } = ada;

  await becomeOwner(ada, server, PASSWORD);
  await fox.page.goto(`${server.url}/owner#keys`);
  await fox.type('Password', PASSWORD);
  await fox.press('Sign in');

  await makesAndRevokesAKey(ada, server, 'of Ada');
  await makesAndRevokesAKey(fox, server, 'of the fox');
  await testsReceivers(ada, hook);
  await testsReceivers(fox, hook);

  // The other browser's session ends: what it asks for next is refused, and it is asked who it is for.
  await ada.follow('Sessions');
  await ada.reads('this one');
  await page.getByRole('button', { name: /^End the session of Firefox \d+ on Linux/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End', exact: true }).click();
  await ada.reads('There is no other.');
  await goes(fox, 'audit');
  await fox.reads('You are not signed in any more');
  await fox.type('Password', PASSWORD);
  await fox.press('Sign in');
  await noDialog(fox);
  await readsTheLog(fox);
  await readsTheLog(ada);

  // What goes on, as it begins.
  await ada.follow('Now');
  await ada.reads('Nobody is in a room.');
  await ada.reads('Nothing is being recorded.');
  const call = await page.context().newPage();
  await call.goto(server.url);
  await call.getByLabel('Participant').fill('Ada');
  await call.getByLabel('Room', { exact: true }).fill('Standup');
  await call.getByRole('button', { name: 'Join', exact: true }).click();
  await call.getByRole('button', { name: 'Start Recording' }).click();
  await call.getByRole('button', { name: 'Stop Recording' }).waitFor();
  await page.bringToFront();
  const room = page.locator('[data-open-room=Standup]');
  await room.filter({ hasText: '1 person' }).filter({ hasText: 'Ada' }).waitFor();
  await page.locator('[data-recording]').filter({ hasText: 'Standup' }).filter({ hasText: 'so far' }).waitFor();
  await call.getByRole('button', { name: 'Stop Recording' }).click();
  await call.getByRole('button', { name: 'Start Recording' }).waitFor();
  await call.close();

  await ada.follow('Settings');
  await page.locator('[data-setting=access]').filter({ hasText: 'invite' }).filter({ hasText: 'environment' }).waitFor();
  await page.locator('[data-setting=livekit_api_secret]').waitFor();

  await ada.follow('Sessions');
  const change = async (old, one, other) => {
    await ada.type('Password so far', old);
    await ada.type('New password', one);
    await ada.type('Once more', other);
    await ada.press('Change the password');
  };
  await change(PASSWORD, `${PASSWORD}!`, 'another one');
  await ada.reads('two different passwords');
  await change('a guess', `${PASSWORD}!`, `${PASSWORD}!`);
  await ada.reads('this is not the password');
  await change(PASSWORD, `${PASSWORD}!`, `${PASSWORD}!`);
  await ada.reads('The password is changed');
  await goes(fox, 'keys');
  await fox.reads('You are not signed in any more');

  await Promise.all([ada.leave(), fox.leave()]);
  await server.stop();
  hook.server.close();
  hook.server.closeAllConnections();
});

test('where access is open, the page says what invitations give', { timeout: 60_000 }, async () => {
  const server = await Reelroom.start();
  const person = await Person.arrive();
  const { page } = person;
  await page.goto(`${server.url}/owner`);
  await page.getByRole('heading', { name: 'This server is open', exact: true }).waitFor();
  await page.getByRole('heading', { name: 'With ACCESS=invite', exact: true }).waitFor();
  for (const alert of await page.getByRole('alert').all()) assert.equal(await alert.textContent(), '');
  await person.leave();
  await server.stop();
});
