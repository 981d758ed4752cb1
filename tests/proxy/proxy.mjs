// Calls through proxies, from another machine; scripts/test-proxy makes all of them. Two servers: one that has a name for itself, one below a
// path. Of each server two people are in one room, by a proxy each, so that media flows and is recorded through every proxy; everything
// waits for the same 70 idle seconds.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { decodeAll, halves, tone } from '../browser/film.mjs';
import { FIREFOX_HZ, FirefoxPerson } from '../browser/firefox-person.mjs';
import { BLUE, isBlue, isRed, joinBy, Person, RED } from '../browser/people.mjs';
import { browser, temporaryFolder, until } from '../harness.mjs';

/** Proxies end what is silent for a minute, unless they are told otherwise. */
const IDLE_MS = 70_000;
const RECORDED_MS = 4000;
const PASSWORD = 'correct horse battery';
const OWNER_LINK = new URL(process.env.OWNER_LINK);
/** Where the page is, by each proxy. */
const FRONTS = process.env.FRONTS.split('\n').map((line) => {
  const [, name, site, kind] = /^(.*) (https:\S+) (whole|below)$/.exec(line);
  return { name, site, isBelow: kind === 'below' };
});
const WHOLE = FRONTS.filter((front) => !front.isBelow);
const BELOW = FRONTS.filter((front) => front.isBelow);
// The certificate is nobody's.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What becomes of a promise; fails where that takes longer. */
async function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** What the owner of the server below the path shows; nothing where access is open. */
const owner = { cookie: '', csrf: '' };
const shown = (front) => (front.isBelow ? { cookie: owner.cookie, 'x-csrf-token': owner.csrf } : {});

async function ask(front, method, path, body) {
  const headers = { ...shown(front), origin: new URL(front.site).origin, 'content-type': 'application/json' };
  const answer = await fetch(front.site + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

async function told(front, method, path, body) {
  const answer = await ask(front, method, path, body);
  assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** In a page, before it is opened: how many of its WebSockets have ended. */
function countEnded() {
  window.ended = 0;
  window.WebSocket = class extends WebSocket {
    constructor(...how) {
      super(...how);
      this.addEventListener('close', () => {
        window.ended += 1;
      });
    }
  };
}

const ended = (person) => person.page.evaluate(() => window.ended);

/** Two people who are in a call are recorded, say nothing to the server for a while, and are still in it; gives the recording. */
async function recordedAndIdle(front, room, [ada, bob], seeAndHear) {
  await seeAndHear();
  const began = Date.now();
  const before = await Promise.all([ada, bob].map(ended));
  await bob.recordButton('Start Recording').click();
  await ada.reads('Room is being recorded');
  await sleep(RECORDED_MS);
  await bob.recordButton('Stop Recording').click();
  await sleep(Math.max(0, IDLE_MS - (Date.now() - began)));
  assert.deepEqual(await Promise.all([ada, bob].map(ended)), before, 'no connection ended meanwhile');
  await seeAndHear();
  const query = `/recordings?roomName=${encodeURIComponent(room)}`;
  const listed = async () => (await told(front, 'GET', query)).recordings[0];
  return until(async () => (await listed())?.status === 'complete' && listed(), 'the file', 90);
}

/** The file comes through each proxy as the same one, and has the picture and the sound of both. */
async function isWhole(t, fronts, recording, hz) {
  const files = await Promise.all(
    fronts.map(async (front) => {
      const answer = await fetch(`${front.site}/recordings/${encodeURIComponent(recording.name)}?download`, {
        headers: shown(front),
      });
      assert.equal(answer.status, 200, front.name);
      return Buffer.from(await answer.arrayBuffer());
    }),
  );
  assert.equal(new Set(files.map(sha256)).size, 1, 'every proxy gives the same file');
  assert.equal(files[0].length, recording.size);
  const file = join(temporaryFolder(), 'film.mp4');
  writeFileSync(file, files[0]);
  decodeAll(file);
  const sides = halves(file);
  const blues = ['left', 'right'].map((side) => sides[side].filter(isBlue).length / sides[side].length);
  assert.ok(Math.max(...blues) > 0.7, `blue is seen ${blues} of the time`);
  const heard = tone(file, hz).filter((strength) => strength > 0.02).length / 100;
  t.diagnostic(`${recording.duration} s, ${recording.size} bytes; the tone is heard for ${heard.toFixed(1)} s`);
  return heard;
}

/** A request with a Host of its own, which fetch does not send. */
function statusFor(front, host) {
  const { hostname, port, pathname } = new URL(`${front.site}/`);
  const options = { host: hostname.replace(/[[\]]/g, ''), port: port || 443, path: `${pathname}settings.json`, headers: { host } };
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, servername: 'calls.example.org', rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sent.on('error', reject);
    sent.end();
  });
}

let chromium;

async function becomeOwner() {
  const [front] = BELOW;
  const link = OWNER_LINK.hash.replace(/^#setup=/, '');
  assert.equal(OWNER_LINK.href, `${OWNER_LINK.origin}/calls/owner#setup=${link}`, 'it begins with the address that is set');
  let answer = await ask(front, 'POST', '/owner/password', { link, password: PASSWORD });
  // It is used up where all this is run a second time.
  if (answer.status === 410) answer = await ask(front, 'POST', '/owner/session', { password: PASSWORD });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const kept = answer.headers.getSetCookie();
  for (const cookie of kept) {
    assert.match(cookie, /^__Secure-reelroom(-mark)?=.*; Path=\/calls\/;.*; Secure$/, 'it holds below the path alone');
  }
  owner.cookie = kept.map((cookie) => cookie.split(';')[0]).join('; ');
  owner.csrf = answer.body.csrf;
}

describe('through proxies', { concurrency: true, timeout: 240_000 }, () => {
  before(async () => {
    chromium = await browser();
    await becomeOwner();
  });
  after(() => chromium.close());

  it('Firefox and Chromium are in a call, and are recorded', async (t) => {
    const room = `Behind ${WHOLE[0].site}`;
    const [ada, bob] = await Promise.all([FirefoxPerson.arrive(), Person.arrive(BLUE, chromium)]);
    await Promise.all([ada.page.evaluateOnNewDocument(countEnded), bob.page.addInitScript(countEnded)]);
    await Promise.all([ada.join(`${WHOLE[0].site}/`, room, 'Ada'), bob.join(`${WHOLE.at(-1).site}/`, room, 'Bob')]);
    const seeAndHear = () => Promise.all([ada.seesColour('Bob', isBlue), bob.hears(FIREFOX_HZ)]);
    const recording = await recordedAndIdle(WHOLE[0], room, [ada, bob], seeAndHear);
    const heard = await isWhole(t, WHOLE, recording, FIREFOX_HZ);
    assert.ok(heard > 2.5, `Firefox is heard for ${heard} s`);
    await Promise.all([ada.leave(), bob.leave()]);
  });

  it('below a path people come by a link, are recorded, and what is shared of it plays', async (t) => {
    const room = `Below ${BELOW[0].site}`;
    const made = await told(BELOW[0], 'POST', '/rooms', { name: room });
    const { path, url } = made.links.find((link) => link.role === 'host');
    assert.equal(url, `${OWNER_LINK.origin}/calls${path}`);
    const [ada, bob] = await Promise.all([Person.arrive(RED, chromium), Person.arrive(BLUE, chromium)]);
    await Promise.all([ada, bob].map((person) => person.page.addInitScript(countEnded)));
    await Promise.all([joinBy(ada, `${BELOW[0].site}${path}`, 'Ada'), joinBy(bob, `${BELOW.at(-1).site}${path}`, 'Bob')]);
    const seeAndHear = () =>
      Promise.all([ada.seesColour('Bob', isBlue), ada.hears(BLUE.hz), bob.seesColour('Ada', isRed)]);
    const recording = await recordedAndIdle(BELOW[0], room, [ada, bob], seeAndHear);
    const heard = await isWhole(t, BELOW, recording, BLUE.hz);
    assert.ok(heard > 2.5, `Bob is heard for ${heard} s`);
    await Promise.all([ada.leave(), bob.leave()]);

    const shares = `/recordings/${encodeURIComponent(recording.name)}/shares`;
    const { link } = await told(BELOW[0], 'POST', shares, {});
    assert.ok(link.startsWith(`${OWNER_LINK.origin}/calls/watch#`), link);
    for (const { site } of BELOW) {
      const eve = await Person.arrive(RED, chromium);
      await eve.page.goto(link.replace(`${OWNER_LINK.origin}/calls`, site));
      const plays = () => eve.page.evaluate(() => document.querySelector('video')?.readyState >= 1);
      await until(plays, `it plays at ${site}`, 30);
      await eve.leave();
    }
  });

  for (const front of FRONTS) {
    it(`${front.name}: the page and all that belongs to it are found`, async () => {
      const page = await fetch(front.site);
      assert.equal(page.url, `${front.site}/`, 'it is right below its path');
      assert.equal(page.status, 200);
      const names = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name]) => name);
      assert.ok(names.length > 3, names);
      for (const name of names) {
        const answer = await fetch(new URL(name, page.url));
        assert.equal(answer.status, 200, `${name} of ${page.url}`);
        await answer.arrayBuffer();
      }
      // What stands in one segment stays there.
      const missing = await ask(front, 'GET', '/recordings/no%2Fsuch.mp4/report');
      assert.ok([400, 404].includes(missing.status), `${missing.status}`);
      assert.notEqual(missing.body.errorMessage, 'there is nothing here', 'it was taken for another address');
    });

    it(`${front.name}: a foreign name is refused`, async () => {
      assert.equal(await statusFor(front, 'evil.example'), 421);
      assert.equal(await statusFor(front, new URL(front.site).host), 200);
    });

    it(`${front.name}: what happens is told as it happens, also after 70 idle seconds`, async () => {
      const answer = await fetch(`${front.site}/events`, { headers: shown(front) });
      assert.equal(answer.status, 200);
      const reader = answer.body.getReader();
      const began = Date.now();
      let [text, last, longest] = ['', began, 0];
      while (Date.now() - began < IDLE_MS) {
        const { value, done } = await within(30_000, reader.read(), 'an event');
        assert.ok(!done, `it ended after ${Date.now() - began} ms: ${text}`);
        if (text === '') assert.ok(Date.now() - began < 5000, 'the first event is held back');
        text += new TextDecoder().decode(value);
        longest = Math.max(longest, Date.now() - last);
        last = Date.now();
      }
      assert.match(text, /event: reload/);
      assert.ok(text.match(/event: beat/g)?.length >= 3, text);
      assert.ok(longest < 25_000, `it was silent for ${longest} ms`);
      await reader.cancel();
    });
  }
});
