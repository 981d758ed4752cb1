// Runs OpenVidu's recording tutorials, as they are published, against `reelroom media` and an S3 server: their servers, their pages,
// two people in Chromium. Record, list, play, delete; afterwards the bucket is empty.
//
//   node tutorials/tutorials.mjs CHECKOUT [NAME ...]      of https://github.com/OpenVidu/openvidu-livekit-tutorials
//
// And the advanced tutorial's page without its server: our own app answers it, and what it shows follows from our room's state.
//
// Nothing of them is changed. Their settings come from the environment, which beats their .env; the scripts that their pages load from
// a CDN come from the same npm packages; and the port that is written into their pages is mapped to that of the media server.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KEY, Reelroom, S3, SECRET, TEST_PAGES, browser, freePort, temporaryFolder, until } from '../harness.mjs';

const ADVANCED = 'openvidu-recording-advanced-node';
const TUTORIALS = ['openvidu-recording-basic-node', ADVANCED];
/** The advanced tutorial's page on our own app. */
const OURS = 'ours';
/** The port of the media server in the tutorials' pages. */
const PAGE_MEDIA_PORT = 7880;
const RECORD_MS = 4000;
const CDN = /^https:\/\/cdn\.jsdelivr\.net\/npm\/((?:@[^/]+\/)?[^@/]+)@([^/]+)\/(.+)$/;

const [checkout, ...wanted] = process.argv.slice(2);
if (!checkout) {
  process.stderr.write('usage: tutorials.mjs CHECKOUT [NAME ...]\n');
  process.exit(2);
}

const say = (text) => process.stdout.write(`${text}\n`);
const run = (command, args, cwd) => execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });

/** A file of an npm package, installed once. */
const packages = temporaryFolder();
function packaged(name, version, path) {
  const folder = join(packages, `${name.replace('/', '+')}@${version}`);
  if (!existsSync(folder)) {
    mkdirSync(folder);
    run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', folder, `${name}@${version}`], folder);
  }
  return readFileSync(join(folder, 'node_modules', name, path));
}

/** A tutorial's server, run as its README says. */
async function start(name, settings) {
  const folder = join(temporaryFolder(), name);
  cpSync(join(checkout, 'advanced-features', name), folder, { recursive: true });
  run('npm', ['install', '--silent', '--no-audit', '--no-fund'], folder);
  const log = [];
  const child = spawn('npm', ['start'], { cwd: folder, env: { ...process.env, ...settings }, detached: true });
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      // It has ended already.
    }
  };
  process.on('exit', end);
  const stop = async () => {
    const ended = once(child, 'exit');
    end();
    await ended;
    process.off('exit', end);
  };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => log.push(String(text)));
  const url = `http://localhost:${settings.SERVER_PORT}`;
  await until(() => fetch(url).then((answer) => answer.ok, () => false), `${name} answering`, 30);
  return { url, log, stop };
}

/** The bucket's objects. */
function objects(s3) {
  const bucket = join(s3.folder, s3.settings.S3_BUCKET);
  const entries = readdirSync(bucket, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(bucket.length + 1)).sort();
}

/** A page of the tutorial; its errors are collected. `prepare` is given it before it is loaded. */
async function open(chromium, url, troubles, prepare = async () => {}) {
  // A page whose files are put in comes from nowhere, for the browser: it has to be let into this machine.
  const page = await (await chromium.newContext({ permissions: ['local-network-access'] })).newPage();
  page.on('pageerror', (error) => troubles.push(`page: ${error.message}`));
  await page.route(/^https:/, (route) => {
    const found = CDN.exec(route.request().url());
    if (!found) return route.abort();
    const contentType = found[3].endsWith('.css') ? 'text/css' : 'text/javascript';
    const headers = { 'access-control-allow-origin': '*', 'content-type': contentType };
    return route.fulfill({ body: packaged(found[1], found[2], found[3]), headers });
  });
  await prepare(page);
  await page.goto(url);
  return page;
}

async function join_(page, name) {
  await page.fill('#participant-name', name);
  await page.click('#join-button');
  await page.locator('#room').waitFor({ state: 'visible', timeout: 20_000 });
}

const button = (page, text) => page.locator('#recording-button:not([disabled])', { hasText: text }).waitFor({ timeout: 70_000 });
const listed = (page) => page.locator('#recording-list .recording-name').allInnerTexts();

/** Plays the recording `name` and gives its seconds. */
async function play(page, name) {
  await page.locator(`[id="${name}"] button[title=Play]`).click();
  const video = page.locator('#recording-video');
  const state = () => video.evaluate((video) => ({
    at: video.currentTime, seconds: video.duration, width: video.videoWidth, error: video.error?.message,
  }));
  const playing = await until(async () => {
    const now = await state();
    assert.equal(now.error, undefined);
    return now.at > 1 && now.width > 0 && now;
  }, `${name} playing`, 20);
  // To its end, and back.
  await video.evaluate((video) => { video.currentTime = video.duration - 0.5; });
  await until(() => video.evaluate((video) => video.ended), `${name} ending`, 20);
  await page.click('#close-recording-video-dialog');
  return playing.seconds;
}

async function tutorial(name) {
  const began = Date.now();
  const s3 = await S3.start();
  const port = await freePort();
  const media = await Reelroom.start(['media'], {
    ...s3.settings,
    WEBHOOK_URLS: `http://127.0.0.1:${port}/livekit/webhook`,
  });
  const app = await start(name, {
    ...s3.settings,
    SERVER_PORT: String(port),
    LIVEKIT_URL: media.url,
    LIVEKIT_API_KEY: KEY,
    LIVEKIT_API_SECRET: SECRET,
  });
  const mapped = `MAP localhost:${PAGE_MEDIA_PORT} ${new URL(media.url).host}`;
  const chromium = await browser([`--host-resolver-rules=${mapped}`]);
  const troubles = [];
  try {
    const post = (path, body) => fetch(`${app.url}${path}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    const ada = await open(chromium, app.url, troubles);
    const bob = await open(chromium, app.url, troubles);
    const room = await ada.inputValue('#room-name');
    assert.equal((await post('/recordings/stop', { roomName: room })).status, 409, 'nothing is being recorded');
    await join_(ada, 'Ada');
    await join_(bob, 'Bob');
    await ada.locator('#camera-Bob video').waitFor();
    await bob.locator('#camera-Ada video').waitFor();

    const names = [];
    for (let round = 0; round < 2; round += 1) {
      await button(ada, 'Start Recording');
      await ada.click('#recording-button');
      for (const page of [ada, bob]) {
        await button(page, 'Stop Recording');
        await page.locator('#recording-text').waitFor({ state: 'visible' });
      }
      assert.equal((await post('/recordings/start', { roomName: room })).status, 409, 'it is being recorded');
      await ada.waitForTimeout(RECORD_MS);
      // The other one may stop it.
      const stopped = Date.now();
      await bob.click('#recording-button');
      for (const page of [ada, bob]) {
        await button(page, 'Start Recording');
        const all = await until(async () => { const all = await listed(page); return all.length > round && all; }, 'the recording being listed in the room', 10);
        const fresh = all.find((one) => !names.includes(one)) ?? names.at(-1);
        if (!names.includes(fresh)) names.push(fresh);
        assert.deepEqual([...all].sort(), [...names].sort());
      }
      say(`${name}: listed in both pages ${((Date.now() - stopped) / 1000).toFixed(1)} s after the stop`);
    }
    for (const one of names) assert.match(one, /^Test Room-.*RM_\w+.*\.mp4$/);
    const files = objects(s3).filter((key) => key.endsWith('.mp4'));
    assert.deepEqual(files, names.map((one) => `recordings/${one}`).sort());
    const ours = objects(s3).filter((key) => !key.endsWith('.mp4') && !key.startsWith('recordings/.metadata/'));
    assert.deepEqual(ours, [], 'nothing stands beside the files that the tutorial did not put there');
    for (const file of files) {
      const probe = ['-v', 'error', '-show_entries', 'stream=codec_name:format=duration', '-of', 'json', join(s3.folder, s3.settings.S3_BUCKET, file)];
      const { streams, format } = JSON.parse(execFileSync('ffprobe', probe));
      assert.deepEqual(streams.map((stream) => stream.codec_name).sort(), ['aac', 'h264']);
      assert.ok(Number(format.duration) > RECORD_MS / 1000 - 1, `${format.duration} s`);
    }

    // In the room, and on the page of all recordings.
    const seconds = await play(ada, names[0]);
    assert.ok(seconds > RECORD_MS / 1000 - 1 && seconds < RECORD_MS / 1000 + 10, `${seconds} s`);
    const part = await fetch(`${app.url}/recordings/${encodeURIComponent(names[0])}`, { headers: { range: 'bytes=0-99' } });
    assert.equal(part.status, 206);
    assert.equal((await part.arrayBuffer()).byteLength, 100);
    await ada.locator(`[id="${names[0]}"] button[title=Delete]`).click();
    await until(async () => (await listed(ada)).length === 1, 'the recording going from the list of the room');
    const all = await open(chromium, `${app.url}/recordings.html`, troubles);
    await until(async () => (await listed(all)).length === 1, 'the page of all recordings listing the other one');
    assert.deepEqual(await listed(all), [names[1]]);
    await play(all, names[1]);
    await all.locator(`[id="${names[1]}"] button[title=Delete]`).click();
    await all.getByText('There are no recordings available').waitFor();
    if (name.includes('advanced')) {
      await bob.getByText('There are no recordings available').waitFor();
    }
    assert.deepEqual(objects(s3), [], 'the bucket is empty');
    for (const page of [ada, bob]) await page.click('#leave-room-button');
    await ada.locator('#join').waitFor({ state: 'visible' });
    assert.deepEqual(troubles, []);
    const errors = app.log.join('').split('\n').filter((line) => /^Error |Unhandled|^\s+at /.test(line));
    assert.deepEqual(errors, [], 'the tutorial has nothing to complain of');
    say(`${name}: recorded, listed, played and deleted in ${((Date.now() - began) / 1000).toFixed(0)} s; the bucket is empty`);
  } catch (error) {
    process.stderr.write(`${app.log.join('').slice(-3000)}\n${media.log.slice(-30).join('\n')}\n${troubles.join('\n')}\n`);
    throw error;
  } finally {
    await chromium.close();
    await app.stop();
    await media.stop();
    await s3.stop();
  }
}

/** The advanced tutorial's page at our own app's address: its files are the tutorial's, and whatever it asks for our app answers. */
async function onOurs() {
  const began = Date.now();
  const files = join(checkout, 'advanced-features', ADVANCED, 'public');
  const app = await Reelroom.start([], TEST_PAGES);
  const chromium = await browser([`--host-resolver-rules=MAP localhost:${PAGE_MEDIA_PORT} ${new URL(app.url).host}`]);
  const troubles = [];
  const prepare = (page) => page.route(`${app.url}/**`, (route) => {
    const { pathname } = new URL(route.request().url());
    const file = join(files, pathname === '/' ? 'index.html' : pathname);
    return existsSync(file) && statSync(file).isFile() ? route.fulfill({ path: file }) : route.continue();
  });
  const ask = async (method, path, body) => {
    const sent = body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
    const answer = await fetch(`${app.url}${path}`, { method, ...sent });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
    return answer.json();
  };
  const come = async (name) => {
    const page = await open(chromium, app.url, troubles, prepare);
    await join_(page, name);
    return page;
  };
  try {
    const ada = await come('Ada');
    const bob = await come('Bob');
    const roomName = await ada.innerText('#room-title');
    for (const page of [ada, bob]) {
      await button(page, 'Start Recording');
      await page.getByText('There are no recordings available').waitFor();
    }
    // One of them presses the button, and it is both of theirs.
    await ada.click('#recording-button');
    for (const page of [ada, bob]) {
      await button(page, 'Stop Recording');
      await page.locator('#recording-text').waitFor({ state: 'visible' });
    }
    // Whoever comes later sees it too.
    const eve = await come('Eve');
    await button(eve, 'Stop Recording');
    await eve.waitForTimeout(RECORD_MS);
    // Somebody else stops it, with no page at all.
    const stopped = Date.now();
    const { recording } = await ask('POST', '/recordings/stop', { roomName });
    for (const page of [ada, bob, eve]) {
      await button(page, 'Start Recording');
      await page.locator('#recording-text').waitFor({ state: 'hidden' });
      await until(async () => (await listed(page)).includes(recording.name), 'the recording being listed', 10);
    }
    say(`${OURS}: listed in three pages ${((Date.now() - stopped) / 1000).toFixed(1)} s after the stop`);
    // And somebody else records again.
    await ask('POST', '/recordings/start', { roomName });
    for (const page of [ada, bob, eve]) await button(page, 'Stop Recording');
    await ada.waitForTimeout(RECORD_MS);
    await bob.click('#recording-button');
    for (const page of [ada, bob, eve]) {
      await button(page, 'Start Recording');
      await until(async () => (await listed(page)).length === 2, 'both being listed', 10);
    }
    const seconds = await play(ada, recording.name);
    assert.ok(seconds > RECORD_MS / 1000 - 1, `${seconds} s`);
    // One of them deletes one, and somebody else the other.
    await ada.locator(`[id="${recording.name}"] button[title=Delete]`).click();
    for (const page of [ada, bob, eve]) {
      await until(async () => (await listed(page)).length === 1, 'the recording going from the list', 10);
    }
    const [last] = await listed(bob);
    await ask('DELETE', `/recordings/${encodeURIComponent(last)}`);
    for (const page of [ada, bob, eve]) await page.getByText('There are no recordings available').waitFor();
    assert.deepEqual((await ask('GET', '/recordings')).recordings, []);
    assert.deepEqual(troubles, []);
    say(`${OURS}: the page followed our room's state, and its deletions, in ${((Date.now() - began) / 1000).toFixed(0)} s`);
  } catch (error) {
    process.stderr.write(`${app.log.slice(-30).join('\n')}\n${troubles.join('\n')}\n`);
    throw error;
  } finally {
    await chromium.close();
    await app.stop();
  }
}

for (const name of wanted.length > 0 ? wanted : [...TUTORIALS, OURS]) await (name === OURS ? onOurs() : tutorial(name));
process.exit(0);
