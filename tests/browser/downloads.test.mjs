// Programs nobody here wrote get every byte of a recording, also those that go on with the half of it that they have.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Reelroom, browser, temporaryFolder } from '../harness.mjs';
import { Firefox } from './firefox.mjs';

const NAME = 'räume 100%.mp4';
const PATH = `/recordings/${encodeURIComponent(NAME)}`;
/** What an interrupted download has. */
const HAVE = 30_000_000;
/** RECORDING_FILE_PORTION_SIZE, as it is where nobody sets it. */
const PORTION = 5 * 1024 * 1024;
const folder = temporaryFolder();
// Not execFileSync: what they talk to may be in this very process.
const run = promisify(execFile);
let server;
let file;
let whole;

const hash = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** A film of noise: 100 MB that are quickly made and cannot be taken for one another. */
before(async () => {
  const data = temporaryFolder();
  mkdirSync(join(data, 'recordings'));
  file = join(data, 'recordings', NAME);
  const noise = ['-f', 'lavfi', '-i', 'anoisesrc=r=192000:d=137:seed=7', '-ac', '2', '-c:a', 'pcm_s16le'];
  execFileSync('ffmpeg', ['-v', 'error', ...noise, '-movflags', '+faststart', '-f', 'mov', file]);
  assert.ok(statSync(file).size > 100_000_000);
  whole = hash(file);
  server = await Reelroom.start([], { DATA_DIR: data });
});

after(() => server?.stop());

/** A file with the beginning of the recording. */
function half(name) {
  const [from, to, bytes] = [openSync(file), join(folder, name), Buffer.alloc(HAVE)];
  readSync(from, bytes, 0, HAVE, 0);
  closeSync(from);
  writeFileSync(to, bytes);
  return to;
}

test('curl goes on to the end, and is content with what is whole', async () => {
  const part = half('curl.mp4');
  await run('curl', ['-fsS', '-C', '-', '-o', part, server.url + PATH]);
  assert.equal(hash(part), whole);
  const fresh = join(folder, 'fresh.mp4');
  await run('curl', ['-fsS', '-C', '-', '-o', fresh, server.url + PATH]);
  assert.equal(hash(fresh), whole);
  const named = temporaryFolder();
  await run('curl', ['-fsS', '-OJ', `${server.url}${PATH}?download`], { cwd: named });
  assert.equal(statSync(join(named, 'r_ume 100_.mp4')).size, statSync(file).size);
});

test('wget goes on to the end', async () => {
  const part = half('wget.mp4');
  await run('wget', ['-q', '-c', '-O', part, server.url + PATH]);
  assert.equal(hash(part), whole);
  // It has all of it: 416, and nothing to do.
  await run('wget', ['-q', '-c', '-O', part, server.url + PATH]);
  assert.equal(hash(part), whole);
});

test('ffmpeg reads to the end', async () => {
  const packets = async (source) =>
    (await run('ffmpeg', ['-nostdin', '-v', 'warning', '-i', source, '-c', 'copy', '-f', 'md5', '-'])).stdout;
  assert.equal(await packets(server.url + PATH), await packets(file));
});

test('mpv reads to the end, and plays there', async () => {
  const dumped = join(folder, 'mpv.mp4');
  await run('mpv', ['--no-config', '--really-quiet', `--stream-dump=${dumped}`, server.url + PATH]);
  assert.equal(hash(dumped), whole);
  const untimed = ['--no-config', '--no-video', '--ao=null', '--ao-null-untimed', '--msg-level=all=warn'];
  const played = await run('mpv', [...untimed, '--start=-20', server.url + PATH]);
  assert.equal(`${played.stdout}${played.stderr}`, '');
});

/** A way to the server that breaks after `bytes` of an answer, once. */
async function brittle(bytes) {
  const target = new URL(server.url);
  let breaks = 1;
  const requests = [];
  const way = createServer((near) => {
    const far = connect(target.port, target.hostname);
    let passed = 0;
    near.on('data', (data) => {
      requests.push(String(data));
      far.write(data);
    });
    far.on('data', (data) => {
      passed += data.length;
      if (breaks > 0 && passed > bytes) {
        breaks -= 1;
        near.destroy();
        far.destroy();
      } else if (!near.write(data)) {
        far.pause();
        near.once('drain', () => far.resume());
      }
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.end());
    }
  });
  await new Promise((resolve) => way.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${way.address().port}`, requests, close: () => way.close() };
}

test('Chromium goes on with a download that broke off, from the page', { timeout: 120_000 }, async () => {
  const way = await brittle(40_000_000);
  const chromium = await browser();
  const page = await chromium.newPage();
  await page.goto(`${way.url}/recordings.html`);
  const begins = page.waitForEvent('download');
  await page.getByRole('link', { name: `Download ${NAME}` }).click();
  const download = await begins;
  assert.equal(download.suggestedFilename(), NAME);
  assert.equal(hash(await download.path()), whole);
  const resumed = way.requests.filter((request) => /^GET \/recordings\/r/.test(request));
  assert.equal(resumed.length, 2, 'it broke off and went on');
  assert.match(resumed[1], /^range: bytes=[1-9]\d*-/im);
  await chromium.close();
  way.close();
});

test('Firefox goes on with a download that was cancelled, also from the plain address', { timeout: 120_000 }, async () => {
  const firefox = await Firefox.start();
  for (const query of ['', '?download']) {
    const target = join(folder, `firefox${query.length}.mp4`);
    const way = await brittle(40_000_000);
    const told = await firefox.run(
      `const { Downloads } = ChromeUtils.importESModule('resource://gre/modules/Downloads.sys.mjs');
       const download = await Downloads.createDownload({ source: args[0], target: { path: args[1], partFilePath: args[1] + '.part' } });
       download.tryToKeepPartialData = true;
       const failed = await download.start().then(() => null, (error) => String(error));
       const kept = download.currentBytes;
       await download.start();
       return { failed, kept, succeeded: download.succeeded };`,
      way.url + PATH + query,
      target,
    );
    assert.ok(told.failed !== null && told.kept > 0 && told.succeeded, JSON.stringify(told));
    assert.equal(hash(target), whole);
    assert.match(way.requests.at(-1), /^range: bytes=[1-9]\d*-/im);
    way.close();
  }
  await firefox.stop();
});

test('a player in Chromium begins with a portion, and plays to the end', { timeout: 120_000 }, async () => {
  const film = 'film.mp4';
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30:duration=8', '-c:v', 'libx264', '-preset', 'ultrafast'];
  // Some 12 MB.
  const bits = ['-b:v', '12M', '-minrate', '12M', '-maxrate', '12M', '-bufsize', '12M', '-nal-hrd', 'cbr', '-pix_fmt', 'yuv420p'];
  execFileSync('ffmpeg', ['-v', 'error', ...picture, ...bits, '-movflags', '+faststart', join(file, '..', film)]);
  assert.ok(statSync(join(file, '..', film)).size > 2 * PORTION);
  const chromium = await browser();
  const page = await chromium.newPage();
  const lengths = [];
  page.on('response', (response) => {
    if (response.url().endsWith(film)) lengths.push(Number(response.headers()['content-length']));
  });
  await page.goto(`${server.url}/recordings.html`);
  const played = await page.evaluate(async (source) => {
    const video = document.createElement('video');
    document.body.append(video);
    const ended = new Promise((resolve, reject) => {
      video.onended = resolve;
      video.onerror = () => reject(new Error(video.error.message));
    });
    video.src = source;
    await video.play();
    await ended;
    return video.currentTime;
  }, `/recordings/${film}`);
  assert.ok(played > 7.9, `${played} s`);
  // It asks again with If-Range.
  assert.ok(lengths.length > 1 && lengths[0] === PORTION, `${lengths}`);
  await chromium.close();
});
