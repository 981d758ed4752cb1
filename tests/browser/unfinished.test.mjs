// The program is killed in the midst of a long recording: what was composed of it plays while the rest is.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Reelroom, binaries, browser, temporaryFolder, until } from '../harness.mjs';
import { Person } from './people.mjs';

const MINUTES = 3;

test('a recording plays and can be sought in while it is being completed', { timeout: 240_000 }, async (t) => {
  const folder = temporaryFolder();
  let server = await Reelroom.start([], { DATA_DIR: folder });
  const person = await Person.arrive();
  await person.join(server.url, 'Long', 'Ada');
  await person.recordButton('Start Recording').click();
  await person.recordButton('Stop Recording').waitFor();
  await person.leave();
  await server.kill9();
  // As if it had died after minutes, of which none was composed yet.
  const takes = join(folder, 'takes');
  const [take] = readdirSync(takes);
  await promisify(execFile)(join(binaries, 'examples/crashed'), [join(takes, take), String(MINUTES)]);
  rmSync(join(folder, 'composed'), { recursive: true });

  server = await server.restart();
  const listed = async () => (await (await fetch(`${server.url}/recordings`)).json()).recordings[0];
  const chromium = await browser();
  const page = await chromium.newPage();
  await until(async () => ((await listed()).playable ?? 0) >= 15, 'its first seconds', 60);
  await page.goto(`${server.url}/recordings.html`);
  const item = page.locator('[data-recording][data-status=finishing]');
  await item.getByText(/Being completed: .* of 3:00 are there/).waitFor();
  await item.getByRole('button', { name: 'Play' }).click();
  const video = page.getByRole('dialog').locator('video');
  const state = () =>
    video.evaluate((video) => ({ at: video.currentTime, duration: video.duration, error: video.error?.message }));
  const plays = (from, seconds = 15) => until(async () => (await state()).at > from, `playing beyond ${from} s`, seconds);
  await plays(0.5);
  const { duration } = await state();
  t.diagnostic(`${duration} s play, ${(await listed()).playable} s are there by now`);
  assert.ok(duration >= 10 && duration < MINUTES * 60 - 10, `${duration} s`);
  assert.equal(await page.getByRole('dialog').getByText('Download').count(), 0, 'a part is not kept for the whole');
  const seek = (to) =>
    video.evaluate((video, to) => {
      video.currentTime = to;
      // It may have come to its end meanwhile. Where the page gives its place to another one, for the file became
      // another, its promise is broken: whether it plays, its time tells.
      return video.play().catch(() => {});
    }, to);
  await seek(duration - 4);
  await plays(duration - 3.5);
  await seek(2);
  await plays(2.5);
  // Its file becomes another one while it is played: it goes on.
  await until(async () => (await listed()).status === 'complete', 'its end', 150);
  await seek(duration - 8);
  await plays(duration - 7);
  assert.equal((await state()).error, undefined);
  await page.keyboard.press('Escape');
  await page.locator('[data-recording][data-status=complete]').getByRole('button', { name: 'Play' }).click();
  await until(async () => Math.abs((await state()).duration - MINUTES * 60) < 0.1, 'the whole of it', 15);
  await seek(MINUTES * 60 - 5);
  await plays(MINUTES * 60 - 4.5);
  await chromium.close();
  await server.stop();
});
