// The stock livekit-client in Chromium: end-to-end encryption, and screens that stand still for long.

import assert from 'node:assert/strict';
import { createReadStream, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { AccessToken } from 'livekit-server-sdk';
import { halves, tone } from './film.mjs';
import { KEY, Reelroom, SECRET, TEST_PAGES, browser, temporaryFolder, until } from '../harness.mjs';

const dist = dirname(createRequire(import.meta.url).resolve('livekit-client'));
const scripts = { '/client.js': 'livekit-client.umd.js', '/worker.js': 'livekit-client.e2ee.worker.js' };
const page = '<!doctype html><title>stock client</title><script src="/client.js"></script>';

let media;
let site;
let chrome;

before(async () => {
  media = await Reelroom.start([], TEST_PAGES);
  site = createServer((request, response) => {
    const script = scripts[request.url];
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
    if (script) createReadStream(join(dist, script)).pipe(response);
    else response.end(page);
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  site?.close();
  await media?.stop();
});

/** Joins; with a `password` what is sent is encrypted, and with `quietly` that is not announced. */
async function join_(identity, room, { password, quietly } = {}) {
  const token = new AccessToken(KEY, SECRET, { identity, name: identity });
  token.addGrant({ roomJoin: true, room });
  const context = await chrome.newContext({ permissions: ['camera', 'microphone'] });
  const tab = await context.newPage();
  tab.on('console', (message) => process.env.LOG && console.log(identity, message.text()));
  await tab.goto(`http://localhost:${site.address().port}/`);
  await tab.evaluate(
    async ([url, jwt, secret, isQuiet]) => {
      const { Room, RoomEvent, ExternalE2EEKeyProvider } = window.LivekitClient;
      const options = {};
      if (secret) {
        const keyProvider = new ExternalE2EEKeyProvider();
        await keyProvider.setKey(secret);
        options.e2ee = { keyProvider, worker: new Worker('/worker.js') };
      }
      const room = new Room(options);
      window.room = room;
      room.on(RoomEvent.TrackSubscribed, (track) => document.body.append(track.attach()));
      if (secret) await room.setE2EEEnabled(true);
      await room.connect(url, jwt);
      // As clients do that know nothing of announcing it.
      if (isQuiet) Object.defineProperty(room.localParticipant, 'encryptionType', { get: () => 0, set: () => {} });
    },
    [media.url.replace('http', 'ws'), await token.toJwt(), password, quietly],
  );
  return tab;
}

const publish = (tab) =>
  tab.evaluate(async () => {
    await window.room.localParticipant.setCameraEnabled(true);
    await window.room.localParticipant.setMicrophoneEnabled(true);
  });

const playing = (tab) =>
  tab.evaluate(() => [...document.querySelectorAll('video')].filter((video) => video.currentTime > 0.3).length);

async function post(path, roomName) {
  const body = JSON.stringify({ roomName });
  const answer = await fetch(`${media.url}/recordings/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return { status: answer.status, ...(await answer.json()) };
}

async function finished(name) {
  const listed = async () => (await (await fetch(`${media.url}/recordings`)).json()).recordings.find((one) => one.name === name);
  await until(async () => (await listed())?.status === 'complete', 'the file', 120);
  const file = join(temporaryFolder(), 'recording.mp4');
  const at = `${media.url}/recordings/${encodeURIComponent(name)}`;
  writeFileSync(file, Buffer.from(await (await fetch(at)).arrayBuffer()));
  const report = await until(async () => {
    const told = await (await fetch(`${at}/report`)).json();
    return told.tracks && told;
  }, 'the report');
  return { file, report, listed: await listed() };
}

const seconds = (count) => new Promise((resolve) => setTimeout(resolve, 1000 * count));

test('an encrypted room works, is not recorded, and says why', async () => {
  const room = 'secret';
  const [ada, bob] = await Promise.all(['ada', 'bob'].map((who) => join_(who, room, { password: 'sesame' })));
  await publish(ada);
  await until(async () => (await playing(bob)) === 1, 'bob decrypting ada', 30);
  const refusal = await post('start', room);
  assert.equal(refusal.status, 409);
  assert.match(refusal.errorMessage, /end-to-end encrypted/);
  // Somebody who sends in clear can be recorded; the others are named.
  const carol = await join_('carol', room);
  await publish(carol);
  await until(async () => (await post('start', room)).status === 200, 'the start', 15);
  await seconds(4);
  const { recording } = await post('stop', room);
  const { report } = await finished(recording.name);
  const of = (who) => Object.values(report.tracks).filter((track) => track.identity === who);
  assert.equal(of('ada').length, 2);
  for (const track of of('ada')) assert.equal(track.left_out?.why, 'encrypted');
  // How many pictures a browser encodes in a second depends on what else the machine does.
  for (const track of of('carol')) {
    assert.ok(!track.left_out && track.media_to_ns - track.media_from_ns > 3e9, JSON.stringify(track));
    // What came last may belong behind the end.
    const { after_end: behind = 0, ...lost } = track.dropped ?? {};
    assert.deepEqual(lost, {}, JSON.stringify(track));
    assert.ok(track.placed + behind === track.received && behind <= 2 && track.received > 20, JSON.stringify(track));
  }
  await Promise.all([ada, bob, carol].map((tab) => tab.evaluate(() => window.room.disconnect())));
});

test('encryption that nobody announced is no noise', async () => {
  const room = 'quietly secret';
  const ada = await join_('ada', room, { password: 'sesame', quietly: true });
  await publish(ada);
  const started = async () => (await post('start', room)).status === 200;
  await until(started, 'the start', 15);
  await seconds(5);
  const { recording } = await post('stop', room);
  const { file, report, listed } = await finished(recording.name);
  for (const track of Object.values(report.tracks)) {
    assert.equal(track.left_out?.why, 'encrypted', JSON.stringify(track));
    assert.equal(track.media_from_ns, undefined);
  }
  assert.match(listed.error, /end-to-end encrypted/);
  for (const hz of [200, 440, 1_000, 3_000, 9_000]) assert.ok(Math.max(...tone(file, hz)) < 0.005, `noise at ${hz} Hz`);
  await ada.evaluate(() => window.room.disconnect());
});

test('a shared screen that draws rarely is seen at once, by who was there, who comes late, and in the file', async () => {
  const room = 'still';
  const [ada, bob] = await Promise.all([join_('ada', room), join_('bob', room)]);
  await ada.evaluate(async () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [1280, 720];
    const context = canvas.getContext('2d');
    const stream = canvas.captureStream(0);
    const [track] = stream.getVideoTracks();
    window.draw = (colour) => {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1280, 720);
      track.requestFrame();
    };
    window.draw('#d00000');
    await window.room.localParticipant.publishTrack(track, {
      source: window.LivekitClient.Track.Source.ScreenShare,
      simulcast: true,
      videoCodec: 'vp8',
    });
    // Until all layers are sent; then it stands still.
    for (let number = 0; number < 60; number += 1) {
      window.draw('#d00000');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
  const colour = (tab) =>
    tab.evaluate(() => {
      const video = document.querySelector('video');
      if (!video?.videoWidth) return null;
      const canvas = new OffscreenCanvas(16, 9);
      const context = canvas.getContext('2d');
      context.drawImage(video, 0, 0, 16, 9);
      return [...context.getImageData(8, 4, 1, 1).data].slice(0, 3);
    });
  const shows = async (tab, wanted) => (await colour(tab))?.every((value, channel) => Math.abs(value - wanted[channel]) < 70);
  await until(() => shows(bob, [208, 0, 0]), 'red', 20);
  await seconds(3);
  const { recording } = await post('start', room);
  for (const [hex, rgb] of [
    ['#00a000', [0, 160, 0]],
    ['#0000d0', [0, 0, 208]],
    ['#d0d000', [208, 208, 0]],
  ]) {
    await seconds(4);
    await ada.evaluate((fill) => window.draw(fill), hex);
    await until(() => shows(bob, rgb), hex, 2);
  }
  await seconds(3);
  await post('stop', room);
  const { file, report } = await finished(recording.name);
  const [track] = Object.values(report.tracks);
  process.env.LOG && console.log(JSON.stringify(track));
  const { left } = halves(file);
  const near = (rgb, wanted) => wanted.every((value, channel) => Math.abs(value - rgb[channel]) < 70);
  const shown = (wanted) => left.filter((rgb) => near(rgb, wanted)).length / 50;
  for (const wanted of [
    [0, 160, 0],
    [0, 0, 208],
  ])
    assert.ok(shown(wanted) > 3.5, `${wanted} is seen for ${shown(wanted)} s`);
  assert.ok(shown([208, 208, 0]) > 2.5);
  const nobody = left.findIndex((rgb) => near(rgb, [208, 0, 0]) || near(rgb, [0, 160, 0])) / 50;
  assert.ok(nobody < 4.5, `the first picture comes after ${nobody} s`);
  await Promise.all([ada, bob].map((tab) => tab.evaluate(() => window.room.disconnect())));
});
