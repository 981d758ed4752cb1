// Two people meet through the page, record, watch, and delete.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Reelroom, S3, freePort, temporaryFolder, until } from '../harness.mjs';
import { decodeAll, flashToBeep, halves, probe, tone } from './film.mjs';
import { BLUE, isBlue, isRed, Person, RED } from './people.mjs';

const SECONDS = 8;
const share = (list, condition) => list.filter(condition).length / list.length;

/** From joining to deletion, through the page of `server`; `store` is the folder where recordings end up. */
async function meet(t, server, store) {
  const [ada, bob] = await Promise.all([Person.arrive(RED), Person.arrive(BLUE)]);
  await ada.join(server.url, 'Test Room', 'Ada');
  await bob.join(server.url, 'Test Room', 'Bob');
  await Promise.all([ada.seesColour('Bob', isBlue), bob.seesColour('Ada', isRed), ada.hears(1000), bob.hears(440)]);

  const asked = Date.now();
  await ada.recordButton('Start Recording').click();
  for (const person of [ada, bob]) await person.page.getByText('Room is being recorded').waitFor();
  await ada.recordButton('Stop Recording').waitFor();
  const began = Date.now();
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  await bob.recordButton('Stop Recording').click();
  const recorded = (Date.now() - began) / 1000;
  // It begins between the click and the word that it has begun.
  const atMost = (Date.now() - asked) / 1000;
  for (const person of [ada, bob]) {
    await person.page.getByText('Room is being recorded').waitFor({ state: 'detached' });
    await person.page.locator('[data-recording][data-status=complete]').waitFor({ timeout: 60_000 });
  }
  const name = await ada.recordings().getAttribute('data-recording');
  t.diagnostic(`recorded ${recorded.toFixed(2)} s as ${name}`);

  await ada.page.getByRole('button', { name: `Play ${name}` }).click();
  const video = ada.page.getByRole('dialog').locator('video');
  await until(() => video.evaluate((v) => v.currentTime > 0.2), 'playing');
  const sought = await video.evaluate(async (v) => {
    v.currentTime = v.duration - 2;
    await new Promise((resolve) => v.addEventListener('seeked', resolve, { once: true }));
    return { left: v.duration - v.currentTime, error: v.error?.message ?? null };
  });
  assert.equal(sought.error, null);
  assert.ok(Math.abs(sought.left - 2) < 0.5, `seeking left ${sought.left} s`);
  await ada.page.keyboard.press('Escape');
  await ada.page.getByRole('dialog').waitFor({ state: 'detached' });

  const [download] = await Promise.all([
    ada.page.waitForEvent('download'),
    ada.page.getByRole('link', { name: `Download ${name}` }).click(),
  ]);
  const file = join(temporaryFolder(), 'film.mp4');
  await download.saveAs(file);
  decodeAll(file);
  const { duration, codecs } = probe(file);
  assert.deepEqual(codecs, ['aac', 'h264']);
  t.diagnostic(`${recorded.toFixed(2)} to ${atMost.toFixed(2)} s became ${duration} s`);
  assert.ok(duration > recorded - 0.5, `${recorded} s became ${duration} s`);
  assert.ok(duration < atMost + 0.5, `${atMost} s became ${duration} s`);
  const seen = halves(file);
  const red = ['left', 'right'].find((side) => share(seen[side], isRed) > 0.5);
  const blue = ['left', 'right'].find((side) => share(seen[side], isBlue) > 0.5);
  assert.ok(red && blue && red !== blue, `red is ${red}, blue is ${blue}`);
  assert.ok(share(tone(file, 1000), (strength) => strength > 0.02) > 0.8, 'the steady tone is missing');
  const { median, count } = flashToBeep(file, red, 440);
  t.diagnostic(`beep after flash: ${median?.toFixed(0)} ms, of ${count}`);
  assert.ok(count >= SECONDS - 2, `only ${count} flashes`);
  // Of this a page that draws 30 times a second beside a clock of sound has up to 40 ms of its own, from one call to the next. How exactly
  // what was sent is placed is tried where that is known to the millisecond (composer/tests/sync.rs).
  assert.ok(Math.abs(median) <= 60, `the beep is ${median} ms off its flash`);

  await ada.page.getByRole('button', { name: `Delete ${name}` }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  for (const person of [ada, bob]) await until(async () => (await person.recordings().count()) === 0, 'its removal');
  const left = readdirSync(store, { recursive: true }).filter((path) => path.includes(name));
  assert.deepEqual(left, []);
  await Promise.all([ada.leave(), bob.leave()]);
}

test('two people record their meeting, watch it and delete it', { timeout: 120_000 }, async (t) => {
  const data = temporaryFolder();
  const server = await Reelroom.start([], { DATA_DIR: data });
  await meet(t, server, data);
  await server.stop();
});

test('the same with the media server in a process of its own and recordings in S3', { timeout: 120_000 }, async (t) => {
  const s3 = await S3.start();
  const port = await freePort();
  const media = await Reelroom.start(['media'], {
    ...s3.settings,
    WEBHOOK_URLS: `http://127.0.0.1:${port}/livekit/webhook`,
  });
  const server = await Reelroom.start([], {
    ...s3.settings,
    SERVER_PORT: String(port),
    LIVEKIT_URL: media.url.replace('http', 'ws'),
    RECORDING_PLAYBACK_STRATEGY: 'S3',
  });
  await meet(t, server, s3.folder);
  await server.stop();
  await media.stop();
  await s3.stop();
});


test('one may join without a camera or microphone, and the page stays usable', { timeout: 60_000 }, async () => {
  const server = await Reelroom.start();
  const person = await Person.arrive();
  await person.page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException('denied', 'NotAllowedError');
    };
  });
  await person.page.goto(server.url);
  await person.page.getByText('does not allow the camera or microphone').waitFor();
  await person.join(server.url, 'Quiet', 'Nobody');
  await person.page.getByText('Nobody (you)').waitFor();
  await person.page.getByRole('button', { name: 'Leave room' }).click();
  await person.page.getByText('You left the room').waitFor();
  await person.leave();
  await server.stop();
});
