// What pages of other sites get in the browser of somebody who runs the program on the same machine: nothing.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AccessToken, RoomServiceClient } from 'livekit-server-sdk';
import puppeteer from 'puppeteer-core';
import { ClientSite, KEY, Reelroom, SECRET, browser, temporaryFolder } from '../harness.mjs';

/** Names that somebody else owns and points at this machine. */
const EVIL = 'evil.example';
const NAME = 'film.mp4';
const ROOM = 'theirs';

/** A key that nobody has to guess: who lets every page in has no other protection. */
const OPEN = { LIVEKIT_API_KEY: 'open', LIVEKIT_API_SECRET: 'a secret of whoever lets every page in', ALLOWED_ORIGINS: '*' };

let site;
let server;
let media;
let token;
let browsers;
let film;

/** Chromium as it comes, Chromium for which the foreign site is on the internet and has the person's leave to reach this machine, and Firefox. */
async function launch() {
  const names = `--host-resolver-rules=MAP ${EVIL} 127.0.0.1`;
  const chromium = await browser([names]);
  const spaces = `--ip-address-space-overrides=127.0.0.1:${site.port}=public,127.0.0.2:${site.port}=public`;
  // Only pages of secure origins are asked for leave; others of the internet get nothing whatever the server says.
  const isSecure = `--unsafely-treat-insecure-origin-as-secure=http://${EVIL}:${site.port}`;
  const onTheInternet = await browser([names, spaces, isSecure]);
  const firefox = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    extraPrefsFirefox: { 'network.dns.localDomains': EVIL, 'media.peerconnection.enabled': true },
  });
  const open = async (url, from, permissions = []) => {
    const context = from.newContext ? await from.newContext({ permissions }) : await from.createBrowserContext();
    const page = await context.newPage();
    await page.goto(url);
    return page;
  };
  return {
    chromium: { open: (url) => open(url, chromium), close: () => chromium.close() },
    'chromium, from the internet': {
      open: (url) => open(url, onTheInternet, ['local-network-access']),
      close: () => onTheInternet.close(),
    },
    firefox: { open: (url) => open(url, firefox), close: () => firefox.close() },
  };
}

/** A data folder with the film among its recordings. */
function shelf() {
  const data = temporaryFolder();
  mkdirSync(join(data, 'recordings'));
  copyFileSync(film, join(data, 'recordings', NAME));
  return data;
}

/** A token that may do everything. */
async function tokenFor(key, secret) {
  const access = new AccessToken(key, secret, { identity: 'eve' });
  access.addGrant({ roomJoin: true, room: ROOM, roomAdmin: true, roomCreate: true, roomList: true, roomRecord: true });
  return access.toJwt();
}

before(async () => {
  film = join(temporaryFolder(), NAME);
  const source = ['-f', 'lavfi', '-i', 'testsrc=s=320x180:d=2', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-movflags', '+faststart'];
  execFileSync('ffmpeg', ['-v', 'error', ...source, film]);
  site = await ClientSite.start(undefined, '0.0.0.0');
  // The key that everybody knows: only the page's origin is in the way.
  server = await Reelroom.start([], { DATA_DIR: shelf() });
  media = await Reelroom.start(['media']);
  token = await tokenFor(KEY, SECRET);
  await new RoomServiceClient(server.url, KEY, SECRET).createRoom({ name: ROOM, emptyTimeout: 600 });
  browsers = await launch();
});

after(async () => {
  for (const one of Object.values(browsers ?? {})) await one.close();
  site?.stop();
  await media?.stop();
  await server?.stop();
});

/** Runs in a page: tries everything, and gives what it got. */
async function attack({ url, jwt, name, room }) {
  const got = [];
  const json = { 'content-type': 'application/json' };
  const within = (promise) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error('late')), 8000))]);
  const attempt = async (what, action) => {
    try {
      const result = await within(action());
      if (result) got.push(`${what}: ${result}`);
    } catch {
      // Refused, as it should be.
    }
  };
  const read = async (path, options) => {
    const answer = await fetch(url + path, options);
    return answer.ok ? (await answer.text()).slice(0, 80) || 'an answer' : '';
  };
  await attempt('the list', () => read('/recordings'));
  await attempt('the metrics', () => read('/metrics'));
  await attempt('a recording', () => read(`/recordings/${name}`, { headers: { range: 'bytes=0-9' } }));
  await attempt('a link', () => read(`/recordings/${name}/url`));
  await attempt('a link as if by a link', () => read(`/recordings/${name}/url?expires=9999999999&signature=x`));
  await attempt('a token', () => read('/token', { method: 'POST', headers: json, body: JSON.stringify({ roomName: room, participantName: 'eve' }) }));
  await attempt('a start', () => read('/recordings/start', { method: 'POST', headers: json, body: JSON.stringify({ roomName: room }) }));
  const twirp = { method: 'POST', headers: { ...json, authorization: `Bearer ${jwt}` } };
  await attempt('rooms', () => read('/twirp/livekit.RoomService/ListRooms', { ...twirp, body: '{}' }));
  await attempt('a deleted room', () => read('/twirp/livekit.RoomService/DeleteRoom', { ...twirp, body: JSON.stringify({ room }) }));
  await attempt('recorders', () => read('/twirp/livekit.Egress/ListEgress', { ...twirp, body: '{}' }));
  await attempt('a validation', () => read(`/rtc/validate?access_token=${jwt}`));
  // Without a preflight, and without an answer to read.
  for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
    const body = JSON.stringify({ roomName: room });
    await attempt('a blind start', async () => {
      await fetch(`${url}/recordings/start`, { method: 'POST', mode: 'no-cors', headers: { 'content-type': type }, body });
    });
  }
  await attempt('a form', () => new Promise((resolve) => {
    const frame = Object.assign(document.createElement('iframe'), { name: 'target' });
    const form = Object.assign(document.createElement('form'), { method: 'post', action: `${url}/recordings/start`, target: 'target', enctype: 'text/plain' });
    form.append(Object.assign(document.createElement('input'), { name: `{"roomName":"${room}","a":"`, value: '"}' }));
    document.body.append(frame, form);
    form.submit();
    setTimeout(() => resolve(''), 700);
  }));
  await attempt('a beacon', async () => {
    navigator.sendBeacon(`${url}/recordings/start`, JSON.stringify({ roomName: room }));
  });
  const loads = (element, event, attributes) => new Promise((resolve, reject) => {
    element[`on${event}`] = () => resolve('loaded');
    element.onerror = () => reject(new Error('refused'));
    document.body.append(Object.assign(element, attributes));
  });
  await attempt('a video', () => loads(document.createElement('video'), 'loadedmetadata', { src: `${url}/recordings/${name}`, preload: 'auto' }));
  await attempt('a picture', () => loads(new Image(), 'load', { src: `${url}/icon.svg` }));
  await attempt('a script', () => loads(document.createElement('script'), 'load', { src: `${url}/settings.json` }));
  await attempt('a style', () => loads(document.createElement('link'), 'load', { rel: 'stylesheet', href: `${url}/recordings` }));
  await attempt('a deletion', () => read(`/recordings/${name}`, { method: 'DELETE' }));
  const socket = url.replace('http', 'ws');
  await attempt('a socket', () => new Promise((resolve, reject) => {
    const signalling = new WebSocket(`${socket}/rtc?access_token=${jwt}`);
    signalling.onopen = () => resolve('open');
    signalling.onerror = () => reject(new Error('refused'));
  }));
  await attempt('a call', async () => {
    const call = new window.LivekitClient.Room();
    await call.connect(socket, jwt, { maxRetries: 0 });
    return 'joined';
  });
  return got;
}

const asked = async (path) => (await fetch(server.url + path)).json();

/** How many requests came as far as the door of what starts recordings. What comes blindly is turned away there, too, but not by the front. */
async function starts(url) {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const counted = metrics.split('\n').filter((line) => line.startsWith('reelroom_http_requests_total') && line.includes('/recordings/start'));
  return counted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Nothing was changed by whatever pages sent blindly, and none of it was looked at. */
async function isUntouched() {
  assert.equal(await starts(server.url), 0);
  const { recordings } = await asked('/recordings');
  assert.deepEqual(recordings.map((one) => [one.name, one.status]), [[NAME, 'complete']]);
  const rooms = await new RoomServiceClient(server.url, KEY, SECRET).listRooms([ROOM]);
  assert.deepEqual(rooms.map((one) => [one.name, one.activeRecording, one.numParticipants]), [[ROOM, false, 0]]);
}

const BROWSERS = ['chromium', 'chromium, from the internet', 'firefox'];
const HOSTS = ['localhost', '127.0.0.2', EVIL];

for (const which of BROWSERS)
  for (const host of HOSTS)
    test(`a page of ${host} in ${which} gets nothing`, { timeout: 120_000 }, async () => {
      const page = await browsers[which].open(`http://${host}:${site.port}/`);
      for (const url of [server.url, server.url.replace('localhost', '127.0.0.1')]) {
        const got = await page.evaluate(attack, { url, jwt: token, name: NAME, room: ROOM });
        assert.deepEqual(got, []);
      }
      await isUntouched();
      await page.close();
    });

// What is refused everywhere else is something that these browsers can do.
for (const which of BROWSERS)
  test(`where every page is let in, a page in ${which} gets all that`, { timeout: 120_000 }, async () => {
    const open = await Reelroom.start([], { ...OPEN, DATA_DIR: shelf() });
    await new RoomServiceClient(open.url, OPEN.LIVEKIT_API_KEY, OPEN.LIVEKIT_API_SECRET).createRoom({ name: ROOM, emptyTimeout: 600 });
    const page = await browsers[which].open(`http://${EVIL}:${site.port}/`);
    const jwt = await tokenFor(OPEN.LIVEKIT_API_KEY, OPEN.LIVEKIT_API_SECRET);
    const got = await page.evaluate(attack, { url: open.url, jwt, name: NAME, room: ROOM });
    assert.deepEqual(got.map((line) => line.split(':')[0]), [
      'the list', 'the metrics', 'a recording', 'a link', 'a link as if by a link', 'a token', 'a start', 'rooms', 'a deleted room',
      'recorders', 'a validation', 'a video', 'a picture', 'a deletion', 'a socket', 'a call',
    ]);
    // The one with an answer, two blind ones, the form and the beacon.
    assert.equal(await starts(open.url), 5);
    await page.close();
    await open.stop();
  });

for (const which of ['chromium', 'firefox'])
  test(`in ${which} a name that was pointed at this machine gets nothing either, though its page has the same origin`, { timeout: 60_000 }, async () => {
    const url = server.url.replace('localhost', EVIL);
    const page = await browsers[which].open(`${url}/`);
    const shown = await page.evaluate(() => document.body.textContent);
    assert.match(shown, /not reached by the name.*PUBLIC_HOSTS/);
    const answers = await page.evaluate(async () => {
      const statuses = [];
      for (const [path, method] of [['/recordings', 'GET'], ['/recordings/film.mp4', 'DELETE'], ['/token', 'POST'], ['/rtc/validate', 'GET'], ['/metrics', 'GET']])
        statuses.push((await fetch(path, { method })).status);
      return statuses;
    });
    assert.deepEqual(answers, [421, 421, 421, 421, 421]);
    const socket = await page.evaluate((at) => new Promise((resolve) => {
      const signalling = new WebSocket(at);
      signalling.onopen = () => resolve('open');
      signalling.onerror = () => resolve('refused');
    }), `${url.replace('http', 'ws')}/rtc?access_token=${token}`);
    assert.equal(socket, 'refused');
    await isUntouched();
    await page.close();
  });

for (const which of ['chromium', 'firefox'])
  test(`a developer's page in ${which} joins at reelroom media from localhost, and from nowhere else`, { timeout: 60_000 }, async () => {
    const join_ = (at) => at.evaluate(async ([url, jwt]) => {
      const call = new window.LivekitClient.Room();
      const joined = call.connect(url, jwt, { maxRetries: 0 }).then(() => call.state, () => 'refused');
      const state = await Promise.race([joined, new Promise((resolve) => setTimeout(resolve, 15_000, 'late'))]);
      await call.disconnect();
      return state;
    }, [media.url.replace('http', 'ws'), token]);
    const rooms = (at) => at.evaluate(async ([url, jwt]) => {
      const options = { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${jwt}` }, body: '{}' };
      const answer = await fetch(`${url}/twirp/livekit.RoomService/ListRooms`, options).catch(() => null);
      return answer?.ok ?? false;
    }, [media.url, token]);
    for (const [host, state] of [['localhost', 'connected'], ['127.0.0.1', 'connected'], ['127.0.0.2', 'refused'], [EVIL, 'refused']]) {
      const page = await browsers[which].open(`http://${host}:${site.port}/`);
      assert.equal(await join_(page), state, host);
      assert.equal(await rooms(page), state === 'connected', host);
      await page.close();
    }
  });

for (const which of ['chromium', 'firefox'])
  test(`in ${which} the program's own page works, and a signed link plays in any page`, { timeout: 60_000 }, async () => {
    const own = await browsers[which].open(`${server.url}/`);
    const listed = await own.evaluate(async () => (await (await fetch('/recordings')).json()).recordings.length);
    assert.equal(listed, 1);
    // Browsers say different things of who opens a WebSocket.
    const socket = await own.evaluate((at) => new Promise((resolve) => {
      const signalling = new WebSocket(at);
      signalling.onopen = () => resolve('open');
      signalling.onerror = () => resolve('refused');
    }), `${server.url.replace('http', 'ws')}/rtc?access_token=${token}`);
    assert.equal(socket, 'open');
    await own.close();
    const { recordingUrl } = await asked(`/recordings/${NAME}/url`);
    const page = await browsers[which].open(`http://localhost:${site.port}/`);
    const plays = await page.evaluate((src) => new Promise((resolve) => {
      const video = Object.assign(document.createElement('video'), { src, preload: 'auto' });
      video.onloadedmetadata = () => resolve(video.videoWidth);
      video.onerror = () => resolve(video.error.message);
      document.body.append(video);
    }), new URL(recordingUrl, server.url).href);
    assert.equal(plays, 320);
    await page.close();
  });
