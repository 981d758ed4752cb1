// The page of all recordings, with names that try to be HTML.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Reelroom, freePort, until } from '../harness.mjs';
import { Person } from './people.mjs';

const HOSTILE = '<img src=x onerror="window.hacked=1"> & \'q\' 李';

test('all recordings are found, filtered, searched and deleted; names stay text', { timeout: 120_000 }, async () => {
  const server = await Reelroom.start();
  const person = await Person.arrive();
  const { page } = person;
  for (const room of [HOSTILE, 'Plain']) {
    await person.join(server.url, room, '<b>Ada</b>');
    await person.recordButton('Start Recording').click();
    await person.recordButton('Stop Recording').waitFor();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await person.recordButton('Stop Recording').click();
    await page.locator('[data-recording][data-status=complete]').waitFor({ timeout: 20_000 });
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator('img[src=x], figure b').count(), 0);
  }

  await page.goto(`${server.url}/recordings.html`);
  const shows = (count) => until(async () => (await person.recordings().count()) === count, `${count} recordings`);
  await shows(2);
  await page.getByText(HOSTILE, { exact: true }).waitFor();
  await page.getByLabel('Room name').fill('Plain');
  await shows(1);
  await page.getByLabel('Room name').fill('Nowhere');
  await page.getByText('No recording matches').waitFor();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await shows(2);
  await page.getByLabel('Search').fill('onerror=');
  await shows(1);

  await page.locator('[data-recording]').getByRole('button', { name: 'Play' }).click();
  await page.getByRole('dialog').getByText(HOSTILE, { exact: true }).waitFor();
  await page.keyboard.press('Escape');

  // Details: whose tracks, what was lost, and a hash that the file has.
  const name = await page.locator('[data-recording]').getAttribute('data-recording');
  const file = `${server.url}/recordings/${encodeURIComponent(name)}`;
  const hash = await until(async () => (await (await fetch(`${file}/report`)).json()).sha256, 'hashed');
  assert.equal(hash, createHash('sha256').update(new Uint8Array(await (await fetch(file)).arrayBuffer())).digest('hex'));
  await page.getByRole('button', { name: `Details of ${name}` }).click();
  const report = page.getByRole('dialog');
  await report.getByText('Everything that reached the server is in the file.').waitFor();
  await report.getByText(hash).waitFor();
  for (const source of ['Camera', 'Microphone']) {
    const track = report.getByRole('listitem').filter({ hasText: source });
    await track.getByText('<b>Ada</b>', { exact: true }).waitFor();
  }
  await page.keyboard.press('Escape');
  await report.waitFor({ state: 'detached' });

  // By keyboard alone: the dialog takes the focus, Escape keeps the recording.
  const remove = page.locator('[data-recording]').getByRole('button', { name: 'Delete' });
  await remove.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await shows(1);
  await remove.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).press('Enter');
  await shows(0);
  await page.getByLabel('Search').fill('');
  await shows(1);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator('img[src=x]').count(), 0);

  await person.leave();
  await server.stop();
});

test('the page says which outside server is missing', { timeout: 60_000 }, async () => {
  const nothing = await freePort();
  const server = await Reelroom.start([], {
    LIVEKIT_URL: `ws://127.0.0.1:${nothing}`,
    S3_BUCKET: 'recordings',
    S3_ENDPOINT: `http://127.0.0.1:${nothing}`,
    S3_ACCESS_KEY: 'a',
    S3_SECRET_KEY: 'b',
  });
  const person = await Person.arrive();
  await person.page.goto(server.url);
  await person.page.getByLabel('Participant').fill('Ada');
  await person.page.getByRole('button', { name: 'Join', exact: true }).click();
  await person.page.getByText('the media server cannot be reached').waitFor();
  await person.page.goto(`${server.url}/recordings.html`);
  await person.page.getByText('the store of recordings fails').waitFor();
  await person.leave();
  await server.stop();
});
