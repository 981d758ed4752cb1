// A long recording is shared: whoever has the link watches it, keeps nothing, and watches no more once it is revoked. Firefox does so
// in invited.test.mjs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Reelroom, temporaryFolder, until } from '../harness.mjs';
import { becomeOwner, Person } from './people.mjs';

const NAME = 'räume 100%.mp4';
const PASSWORD = 'correct horse battery';
const OVER = 'This link does not work, or not any more';
const data = temporaryFolder();
let size;

/** A film that no player has as a whole after a few seconds. */
before(() => {
  const file = join(data, 'recordings', NAME);
  mkdirSync(join(data, 'recordings'));
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30:duration=90', '-vf', 'noise=alls=30:allf=t'];
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '60', '-b:v', '5M'];
  execFileSync('ffmpeg', ['-v', 'error', ...picture, ...coding, '-movflags', '+faststart', file]);
  size = statSync(file).size;
  assert.ok(size > 30_000_000, `${size} bytes`);
});

/** In a page: what its player does. */
const playing = () => {
  const video = document.querySelector('video');
  return video ? { ready: video.readyState, at: video.currentTime, length: video.duration } : null;
};
/** In a page: what a program in it gets that wants all of the file. */
const wholeFile = async () => {
  const { src } = document.querySelector('video');
  const answers = [];
  for (const [url, headers] of [
    [src, {}],
    [`${src}?download`, { Range: 'bytes=0-' }],
    [src, { Range: 'bytes=0-' }],
  ]) {
    const answer = await fetch(url, { headers });
    const bytes = (await answer.arrayBuffer()).byteLength;
    answers.push([answer.status, answer.headers.get('content-disposition'), answer.ok ? bytes : 0]);
  }
  return answers;
};

/** Whoever plays in this page goes on for a while and cannot keep the file. */
async function watches(page) {
  await until(async () => (await page.evaluate(playing))?.ready >= 2, 'a picture', 30);
  await page.evaluate(() => {
    const video = document.querySelector('video');
    video.muted = true;
    return video.play();
  });
  await until(async () => (await page.evaluate(playing))?.at > 1, 'it plays', 30);
  const { length } = await page.evaluate(playing);
  assert.ok(Math.abs(length - 90) < 0.2, `${length} s`);
  assert.equal(await page.evaluate(() => document.querySelectorAll('a[download], a[href*=download]').length), 0);
  assert.deepEqual(await page.evaluate(wholeFile), [
    [403, null, 0],
    [403, null, 0],
    [206, 'inline', 5 * 1024 * 1024],
  ]);
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script has the ticket');
  assert.ok(!(await page.evaluate(() => document.body.innerHTML)).includes('.mp4'), 'no name to save it by');
}

const isOver = (page) =>
  until(
    () => page.evaluate((over) => document.body.textContent.includes(over) && !document.querySelector('video'), OVER),
    'the page says that the link is over',
    20,
  );

/** The owner, signed in by the link of the first start. */
async function owner(server) {
  const person = await Person.arrive();
  await becomeOwner(person, server, PASSWORD);
  await person.page.goto(`${server.url}/recordings.html`);
  return person;
}

/** Makes a link in the dialog that is open; gives its address. */
async function makeLink(dialog, name, fill = async () => {}) {
  const link = dialog.getByLabel('Link', { exact: true });
  const before = (await link.count()) > 0 ? await link.inputValue() : '';
  await dialog.getByLabel('For whom').fill(name);
  await fill(dialog);
  await dialog.getByRole('button', { name: 'Make a link' }).click();
  await link.waitFor();
  return until(async () => {
    const value = await link.inputValue();
    return value !== before && value;
  }, 'the link');
}

test('the owner shares a recording, viewers play it and keep nothing, and no more once it is revoked', { timeout: 240_000 }, async (t) => {
  const server = await Reelroom.start([], { DATA_DIR: data, ACCESS: 'invite', LIVEKIT_API_KEY: '', LIVEKIT_API_SECRET: '' });
  const ada = await owner(server);
  await ada.page.getByRole('button', { name: `Share ${NAME}` }).click();
  const dialog = ada.page.getByRole('dialog');
  await dialog.getByText('There is no link yet.').waitFor();
  const link = await makeLink(dialog, 'for Bob and Eve');
  assert.match(link, new RegExp(`^${server.url}/watch#[\\w-]{43}$`));
  const item = dialog.getByRole('listitem').filter({ hasText: 'for Bob and Eve' });
  await item.getByText('never opened').waitFor();

  const bob = await Person.arrive();
  // It has no cookie of Bob's.
  const eve = await (await bob.browser.newContext()).newPage();
  await Promise.all([bob.page.goto(link), eve.goto(link)]);
  await Promise.all([watches(bob.page), watches(eve)]);
  await bob.page.getByRole('heading', { name: 'räume 100%' }).waitFor();

  // Whoever has one recording has no other, and nothing of the owner's.
  for (const path of ['/recordings', `/recordings/${encodeURIComponent(NAME)}`, '/owner/sessions']) {
    assert.equal(await bob.page.evaluate(async (path) => (await fetch(path)).status, path), 401, path);
  }
  // A link that is cut, or was made up.
  const stranger = await bob.page.context().newPage();
  for (const wrong of [link.slice(0, -1), `${server.url}/watch#${'A'.repeat(43)}`, `${server.url}/watch`]) {
    await stranger.goto(wrong);
    await stranger.getByRole('heading', { name: OVER }).waitFor();
  }

  await item.getByText('2 watching now').waitFor({ timeout: 15_000 });
  await item.getByRole('button', { name: 'Revoke for Bob and Eve' }).click();
  await item.getByText('Revoked').waitFor();
  const began = Date.now();
  await Promise.all([isOver(bob.page), isOver(eve)]);
  t.diagnostic(`both pages ended ${Date.now() - began} ms after it was revoked`);
  assert.ok(Date.now() - began < 12_000);
  await bob.page.reload();
  await bob.page.getByRole('heading', { name: OVER }).waitFor();

  // The log has both, and how far they came.
  await item.getByRole('button', { name: 'Who watched by for Bob and Eve' }).click();
  const views = item.locator('[data-view]');
  await until(async () => (await views.count()) === 2, 'two views');
  for (const view of await views.allTextContents()) assert.match(view, /up to \d+ %/);
  await item.getByText('opened 2 times').waitFor();

  // With a password, and to keep.
  const locked = await makeLink(dialog, 'for Carol', async (dialog) => {
    await dialog.getByLabel('Whoever has the link may').selectOption('download');
    await dialog.getByLabel('Password').fill('open sesame');
  });
  assert.notEqual(locked, link);
  await stranger.goto('about:blank');
  await stranger.goto(locked);
  await stranger.getByRole('heading', { name: 'This recording has a password' }).waitFor();
  const type = async (password) => {
    await stranger.getByLabel('Password', { exact: true }).fill(password);
    await stranger.getByRole('button', { name: 'Watch', exact: true }).click();
  };
  await type('a guess');
  await stranger.getByRole('alert').filter({ hasText: 'this is not the password of the link' }).waitFor();
  await type('open sesame');
  const [download] = await Promise.all([
    stranger.waitForEvent('download'),
    stranger.getByRole('link', { name: 'Download' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), NAME);
  assert.equal(statSync(await download.path()).size, size);

  await Promise.all([ada.leave(), bob.leave()]);
  await server.stop();
});

test('a download that is under way ends with its link, however slowly it is read', { timeout: 120_000 }, async (t) => {
  const server = await Reelroom.start([], { DATA_DIR: data });
  const json = { 'content-type': 'application/json' };
  const shares = `${server.url}/recordings/${encodeURIComponent(NAME)}/shares`;
  const made = await (await fetch(shares, { method: 'POST', headers: json, body: '{"download": true}' })).json();
  const secret = made.link.split('#')[1];
  const opened = await fetch(`${server.url}/watch/open`, { method: 'POST', headers: json, body: JSON.stringify({ secret }) });
  assert.equal(opened.status, 200);
  const cookie = opened.headers.getSetCookie()[0].split(';')[0];
  const { file } = await opened.json();

  const request = get(`${server.url}${file}?download`, { headers: { cookie } });
  const [answer] = await once(request, 'response');
  // Where the connection is reset, the request is told as well as its answer.
  request.on('error', () => {});
  assert.deepEqual([answer.statusCode, Number(answer.headers['content-length'])], [200, size]);
  await once(answer, 'readable');
  // Its end may come before the answer to the revocation.
  const ended = once(answer, 'error');
  const revoked = await fetch(`${shares}/${made.share.id}`, { method: 'DELETE' });
  assert.equal(revoked.status, 200);
  let bytes = 0;
  answer.on('data', (data) => {
    bytes += data.length;
  });
  answer.resume();
  const [error] = await ended;
  t.diagnostic(`${bytes} of ${size} bytes had been sent`);
  assert.equal(error.code, 'ECONNRESET');
  assert.ok(bytes < size);
  const again = await fetch(`${server.url}${file}?download`, { headers: { cookie } });
  assert.equal(again.status, 401);
  await server.stop();
});
