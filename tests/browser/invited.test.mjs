// The whole way of an invitation, once in each browser: from the first start to the log of all that was done. Each person has a
// browser of their own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reelroom, until } from '../harness.mjs';
import { FirefoxPerson } from './firefox-person.mjs';
import { becomeOwner, joinBy, Person } from './people.mjs';

const PASSWORD = 'correct horse battery';
const ROOM = 'The Club';
/** So long it is recorded, by the clock that everybody in the room sees. */
const SECONDS = 4;
const OVER = 'This link does not work, or not any more';
const BROWSERS = { Chromium: () => Person.arrive(), Firefox: () => FirefoxPerson.arrive() };

/** In a page: what can be pressed and followed there, by name. */
const offered = () =>
  [...document.querySelectorAll('button, a[href]')].map((item) => item.getAttribute('aria-label') ?? item.textContent.trim());

async function isNotOffered(person, names) {
  const found = await person.page.evaluate(offered);
  assert.deepEqual(found.filter((name) => names.includes(name)), []);
}

/** What is answered to a page of somebody who came into a room by a link, and shows that. */
const answersByLink = (person, method, path, body = null) =>
  person.page.evaluate(
    async ([method, path, body]) => {
      const headers = { 'content-type': 'application/json', 'x-reelroom-link': window.location.hash.slice(1) };
      const answer = await fetch(path, { method, headers, ...(body === null ? {} : { body: JSON.stringify(body) }) });
      return answer.status;
    },
    [method, path, body],
  );

async function isRefused(guest, requests) {
  for (const [method, path, body] of requests) {
    assert.equal(await answersByLink(guest, method, path, body), 403, `${method} ${path}`);
  }
}

/** Whoever shows nothing gets nothing. */
async function nobodyGetsIn(server, file) {
  const asked = { roomName: ROOM, participantName: 'Eve' };
  for (const [method, path, body] of [
    ['GET', '/recordings'], ['GET', file], ['GET', `${file}/url`], ['DELETE', file], ['POST', '/token', asked],
    ['POST', '/recordings/start', asked], ['GET', '/metrics'], ['GET', '/openapi.json'], ['GET', '/owner/keys'],
  ]) {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(server.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    assert.equal(answer.status, 401, `${method} ${path}`);
  }
}

/** In a page of a call: for how many seconds it has been recorded, as it says. */
const secondsRecorded = () => {
  const [minutes, seconds] = (document.querySelector('[role=timer]')?.textContent ?? '0:00').split(':');
  return Number(minutes) * 60 + Number(seconds);
};

/** In the list of recordings: the name of the one that is ready. */
const ready = () => document.querySelector('[data-recording][data-status=complete]')?.dataset.recording ?? null;

/** In a page: how its player stands; null where there is none. */
const player = () => {
  const video = document.querySelector('video');
  return video ? { ready: video.readyState, at: video.currentTime, length: video.duration, isPaused: video.paused } : null;
};

/** In a page with a player: it plays over and over until it is stopped from elsewhere. */
const playOn = () => {
  const video = document.querySelector('video');
  video.loop = true;
  video.muted = true;
  return video.play();
};

/** In a page with a player: what a program in it is given that wants all of the file. No answer is of the browser's own cache. */
const wholeFile = async () => {
  const { src } = document.querySelector('video');
  const answers = [];
  for (const [address, headers] of [
    [src, {}],
    [`${src}?download`, { Range: 'bytes=0-' }],
    [src, { Range: 'bytes=0-' }],
  ]) {
    const answer = await fetch(address, { headers, cache: 'no-store' });
    const total = Number(answer.headers.get('content-range')?.split('/')[1] ?? 0);
    const { byteLength } = await answer.arrayBuffer();
    answers.push({ status: answer.status, disposition: answer.headers.get('content-disposition'), byteLength, total });
  }
  return answers;
};

/** Nobody keeps what they may only watch. */
async function keepsNothing(viewer) {
  await isNotOffered(viewer, ['Download']);
  assert.equal(await viewer.page.evaluate(() => document.querySelectorAll('a[download], a[href*=download]').length), 0);
  const [whole, download, part] = await viewer.page.evaluate(wholeFile);
  for (const { status, disposition } of [whole, download]) assert.deepEqual([status, disposition], [403, null]);
  assert.deepEqual([part.status, part.disposition], [206, 'inline']);
  assert.ok(part.byteLength > 0 && part.byteLength <= part.total / 2, `${part.byteLength} of ${part.total} bytes`);
}

/** In the audit log: its lines, with a bar between the cells. */
const lines = () =>
  [...document.querySelectorAll('[data-act], [data-refusal]')].map((row) => {
    const cells = [...row.cells].map((cell) => cell.textContent);
    return [row.dataset.act ?? row.dataset.refusal, ...cells].join(' | ');
  });

/** Each is a line's act, and what else stands in that line. */
const DONE = [
  ['password.set', 'Password set'],
  ['session.ended', 'Session ended', '| Owner'],
  ['session.begun', 'Signed in', '| Owner'],
  ['room.made', `room ${ROOM}`, '| Owner'],
  ['room.joined', `room ${ROOM}`, '| Host Hanna'],
  ['room.joined', `room ${ROOM}`, '| Guest Bob'],
  ['recording.started', 'Recording started', `room: ${ROOM}`, '| Host'],
  ['recording.stopped', 'Recording stopped', `room: ${ROOM}`, '| Host'],
  ['share.made', 'Recording shared', '| Owner'],
  ['share.opened', 'Link to a recording opened', '| Viewer'],
  ['share.revoked', 'Link to a recording revoked', '| Owner'],
  ['request.refused', 'POST /recordings/start', '| Guest'],
];

async function readsTheLog(owner, server) {
  await owner.page.goto(`${server.url}/owner#audit`);
  const has = (shown, [act, ...texts]) =>
    shown.some((line) => line.startsWith(`${act} |`) && texts.every((text) => line.includes(text)));
  await until(async () => (await owner.page.evaluate(lines)).length > 0, 'the log');
  const shown = await owner.page.evaluate(lines);
  const missing = DONE.filter((wanted) => !has(shown, wanted));
  assert.deepEqual(missing, [], shown.join('\n'));
}

/** The owner sets a password, leaves and comes again, and makes a room; gives its links. */
async function makesARoom(owner, server) {
  await becomeOwner(owner, server, PASSWORD);
  await owner.press('Sign out');
  await owner.reads('This server is open to its owner only.');
  await isNotOffered(owner, ['Make room', 'Sign out']);
  await owner.type('Password', PASSWORD);
  await owner.press('Sign in');
  await owner.type('Name of a new room', ROOM);
  await owner.press('Make room');
  const links = { guests: await owner.typed('Link for guests'), hosts: await owner.typed('Link for hosts') };
  for (const link of Object.values(links)) assert.ok(link.startsWith(`${server.url}/join#`), link);
  return links;
}

/** A host records. A guest sees that, and can neither begin nor end it. */
async function record(host, guest) {
  await host.seesColour('Bob', () => true);
  await isNotOffered(guest, ['Start Recording', 'Show recordings']);
  await isRefused(guest, [
    ['POST', '/recordings/start', { roomName: ROOM }],
    ['GET', '/recordings'],
    ['GET', '/rooms'],
    ['DELETE', `/rooms/${encodeURIComponent(ROOM)}`],
    ['POST', '/token', { roomName: 'Other', participantName: 'Bob' }],
  ]);
  await host.press('Start Recording');
  await guest.reads('Room is being recorded');
  await isNotOffered(guest, ['Stop Recording']);
  await isRefused(guest, [['POST', '/recordings/stop', { roomName: ROOM }]]);
  await until(async () => (await host.page.evaluate(secondsRecorded)) >= SECONDS, `${SECONDS} s are recorded`, 30);
  await host.press('Stop Recording');
  await host.button('Start Recording');
}

for (const [browser, arrive] of Object.entries(BROWSERS)) {
  test(`an owner invites, a host records, a viewer watches, and all is in the log: ${browser}`, { timeout: 240_000 }, async (t) => {
    const server = await Reelroom.start([], { ACCESS: 'invite', LIVEKIT_API_KEY: '', LIVEKIT_API_SECRET: '' });
    const [owner, host, guest] = await Promise.all([arrive(), arrive(), arrive()]);
    const links = await makesARoom(owner, server);
    await joinBy(host, links.hosts, 'Hanna');
    await joinBy(guest, links.guests, 'Bob');
    await record(host, guest);

    await owner.page.goto(`${server.url}/recordings.html`);
    const name = await until(() => owner.page.evaluate(ready), 'the recording in the list', 60);
    const file = `/recordings/${encodeURIComponent(name)}`;
    await isRefused(guest, [
      ['GET', file],
      ['GET', `${file}/url`],
      ['GET', `${file}/report`],
      ['POST', `${file}/shares`, {}],
      ['DELETE', file],
    ]);
    await nobodyGetsIn(server, file);
    await Promise.all([host.leave(), guest.leave()]);

    const viewer = await arrive();
    await owner.press(`Play ${name}`);
    await until(async () => (await owner.page.evaluate(player))?.ready >= 2, 'it plays for the owner', 30);
    await owner.press('Close');
    await owner.press(`Share ${name}`);
    await owner.type('For whom (only you see it)', 'for Vera');
    await owner.press('Make a link');
    await owner.reads('plays only');
    const link = await owner.typed('Link');
    assert.ok(link.startsWith(`${server.url}/watch#`), link);

    await viewer.page.goto(link);
    await viewer.reads(ROOM);
    await until(() => viewer.page.evaluate(player), 'a player');
    await viewer.page.evaluate(playOn);
    await until(async () => (await viewer.page.evaluate(player))?.at > 0.5, 'it plays for the viewer', 30);
    const { length } = await viewer.page.evaluate(player);
    assert.ok(length > SECONDS - 1.5, `${length} s of ${SECONDS} s are in the file`);
    await keepsNothing(viewer);

    assert.equal((await viewer.page.evaluate(player)).isPaused, false, 'it is playing when the link is revoked');
    await owner.press('Revoke for Vera');
    const began = Date.now();
    await owner.reads('Revoked');
    await viewer.reads(OVER);
    t.diagnostic(`the viewer's page ended ${Date.now() - began} ms after the link was revoked`);
    assert.equal(await viewer.page.evaluate(player), null, 'nothing is shown any more');

    await readsTheLog(owner, server);
    await Promise.all([owner.leave(), viewer.leave()]);
    await server.stop();
  });
}
