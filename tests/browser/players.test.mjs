// Players nobody here wrote take what the composer and the recorder write.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { binaries, browser, temporaryFolder } from '../harness.mjs';

const SECONDS = 12;
const folder = temporaryFolder();

before(() => execFileSync(join(binaries, 'examples/golden'), [folder], { stdio: 'inherit' }));

/** Plays, seeks to ten places, and tells what it saw. Runs in a page. */
async function watch(source, seconds) {
  const video = document.createElement('video');
  document.body.append(video);
  const happens = (name, seconds) =>
    new Promise((resolve, reject) => {
      video.addEventListener(name, resolve, { once: true });
      video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true });
      setTimeout(() => reject(new Error(`no ${name} at ${video.currentTime}`)), seconds * 1000);
    });
  const metadata = happens('loadedmetadata', 30);
  // Firefox may stop at the first picture otherwise, and then does not learn how long a file without an index is.
  video.preload = 'auto';
  video.src = source;
  await metadata;
  const told = { atOnce: video.duration, size: [video.videoWidth, video.videoHeight], places: [] };
  // Without an index Firefox knows as much of a file as it has read.
  while (Math.abs(video.duration - seconds) > 0.05) await happens('durationchange', 30);
  told.duration = video.duration;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = told.size;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const pixel = (x, y) => [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data.slice(0, 3)];
  // A page is told of a seek's end before the picture is there to be drawn.
  const isShown = (time) =>
    new Promise((resolve) => {
      const look = (_, { mediaTime }) =>
        Math.abs(mediaTime - time) < 0.05 ? resolve() : video.requestVideoFrameCallback(look);
      video.requestVideoFrameCallback(look);
    });
  // Back and forth; the middle of a second has that second's grey.
  for (const second of [5, 0, 9, 2, 7, 1, 8, 3, 6, 4]) {
    const wanted = second + 0.5;
    const sought = happens('seeked', 30);
    const shown = isShown(wanted);
    video.currentTime = wanted;
    await Promise.all([sought, shown]);
    context.drawImage(video, 0, 0);
    told.places.push({ second, at: video.currentTime, left: pixel(0.25, 0.3), right: pixel(0.75, 0.3) });
  }
  video.currentTime = 0;
  await video.play();
  const began = performance.now();
  while (video.currentTime < 1.5) {
    if (performance.now() - began > 30_000) throw new Error(`playing stays at ${video.currentTime}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  video.pause();
  told.sound = video.mozHasAudio ?? video.webkitAudioDecodedByteCount > 0;
  return told;
}

/** Serves the folder with ranges, and a page that watches `?file`; `told(file)` is what it tells. */
async function theatre() {
  const tellers = new Map();
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (request.method === 'POST') {
      let body = '';
      request.on('data', (data) => (body += data));
      request.on('end', () => tellers.get(url.searchParams.get('file'))?.(JSON.parse(body)));
      response.end();
    } else if (url.pathname === '/') {
      response.setHeader('Content-Type', 'text/html');
      response.end(`<!doctype html><body><script>
        const asked = new URLSearchParams(location.search);
        const tell = (told) => fetch(location.href, { method: 'POST', body: JSON.stringify(told) });
        (${watch})('/' + asked.get('file'), Number(asked.get('seconds'))).then(tell, (error) => tell({ error: error.message }));
      </script>`);
    } else {
      const path = join(folder, url.pathname);
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined) return response.writeHead(404).end();
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
      const [from, to] = range ? [Number(range[1]), Math.min(Number(range[2] || size - 1), size - 1)] : [0, size - 1];
      response.writeHead(range ? 206 : 200, {
        'Content-Type': 'video/mp4',
        'Content-Length': to - from + 1,
        'Accept-Ranges': 'bytes',
        ...(range && { 'Content-Range': `bytes ${from}-${to}/${size}` }),
      });
      createReadStream(path, { start: from, end: to }).on('error', () => response.destroy()).pipe(response);
    }
    return undefined;
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    page: (file, seconds) => `http://127.0.0.1:${server.address().port}/?file=${file}&seconds=${seconds}`,
    told: (file) => new Promise((resolve) => tellers.set(file, resolve)),
    close: () => server.close(),
  };
}

const isNear = (found, wanted, tolerance) => found.every((value, i) => Math.abs(value - wanted[i]) <= tolerance);

function isRight(told, seconds) {
  assert.equal(told.error, undefined);
  assert.ok(Math.abs(told.duration - seconds) < 0.05, `${told.duration} s instead of ${seconds} s`);
  assert.deepEqual(told.size, [1280, 720]);
  assert.equal(told.places.length, 10);
  for (const { second, at, left, right } of told.places) {
    assert.ok(Math.abs(at - second - 0.5) < 0.01, `at ${at}`);
    assert.ok(isNear(left, Array(3).fill(20 + 18 * second), 7), `second ${second} is ${left}`);
    assert.ok(isNear(right, [200, 30, 40], 16), `red is ${right}`);
  }
  assert.ok(told.sound, 'no sound was decoded');
}

/** What the film's length is by ffprobe, which has nothing to complain about. */
function probed(file) {
  const args = ['-v', 'warning', '-show_entries', 'format=duration:stream=codec_name', '-of', 'json', file];
  const said = run('ffprobe', args);
  assert.equal(said.complaints, '');
  const { format, streams } = JSON.parse(said.text);
  return { duration: Number(format.duration), codecs: streams.map((stream) => stream.codec_name) };
}

function run(program, args) {
  const complaints = join(folder, 'complaints');
  const text = execFileSync('sh', ['-c', `exec "$0" "$@" 2>"${complaints}"`, program, ...args], { encoding: 'utf8' });
  return { text, complaints: execFileSync('cat', [complaints], { encoding: 'utf8' }) };
}

const FIREFOX_SETTINGS = {
  'media.autoplay.default': 0,
  'media.gmp-manager.updateEnabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.aboutwelcome.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'app.normandy.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'toolkit.telemetry.server': '',
};

/** Firefox as Debian has it, which opens `url` and is ended when `work` is done. */
async function withFirefox(url, work) {
  const profile = temporaryFolder();
  const lines = Object.entries(FIREFOX_SETTINGS).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});`);
  writeFileSync(join(profile, 'user.js'), lines.join('\n'));
  const firefox = spawn(process.env.FIREFOX ?? 'firefox-esr', ['--headless', '--no-remote', '--profile', profile, url], {
    env: { ...process.env, HOME: profile, MOZ_HEADLESS: '1' },
    stdio: 'ignore',
    detached: true,
  });
  const end = () => process.kill(-firefox.pid, 'SIGKILL');
  process.once('exit', end);
  const ended = once(firefox, 'exit');
  try {
    return await Promise.race([work, ended.then(() => Promise.reject(new Error('Firefox ended')))]);
  } finally {
    process.off('exit', end);
    end();
    await ended;
  }
}

/** Shows both films in a browser: `show(page, told)` opens the page, and ends when it has told. */
async function inTheatre(show) {
  const stage = await theatre();
  for (const file of ['film.mp4', 'killed.mp4']) {
    const seconds = probed(join(folder, file)).duration;
    const told = await show(stage.page(file, seconds), stage.told(file));
    isRight(told, seconds);
    if (file === 'film.mp4') assert.equal(told.atOnce, SECONDS);
  }
  stage.close();
}

test('Chromium plays and seeks', { timeout: 120_000 }, async (t) => {
  const chromium = await browser();
  await inTheatre(async (url, told) => {
    const page = await chromium.newPage();
    await page.goto(url);
    return told;
  });
  t.diagnostic(chromium.version());
  await chromium.close();
});

test('Firefox ESR plays and seeks', { timeout: 120_000 }, async () => {
  await inTheatre(withFirefox);
});

test('ffprobe and GStreamer\'s discoverer find nothing wrong', { timeout: 120_000 }, () => {
  for (const [file, least] of [
    ['film.mp4', SECONDS],
    ['killed.mp4', SECONDS - 3],
  ]) {
    const path = join(folder, file);
    const { duration, codecs } = probed(path);
    assert.deepEqual(codecs, ['h264', 'aac']);
    assert.ok(duration >= least && duration <= SECONDS, `${file}: ${duration} s`);
    const { text, complaints } = run('gst-discoverer-1.0', ['-v', path]);
    assert.equal(complaints, '');
    assert.doesNotMatch(text, /warning|error|missing|unknown codec|not found/i);
    assert.match(text, /Seekable: yes/);
    // Of a file without an index it knows the first fragment's length only.
    if (file === 'film.mp4') assert.match(text, /Duration: 0:00:12\.0/);
  }
});

test('mpv plays each of a take\'s track files', { timeout: 120_000 }, () => {
  const files = readdirSync(join(folder, 'codecs')).filter((name) => name.endsWith('.mkv'));
  const played = files.map((file) => {
    const { text, complaints } = run('mpv', [
      '--no-config',
      '--vo=null',
      '--ao=null',
      '--untimed',
      '--msg-level=all=warn,cplayer=info',
      join(folder, 'codecs', file),
    ]);
    assert.equal(complaints, '', file);
    assert.match(text, /Exiting\.\.\. \(End of file\)/, text);
    assert.doesNotMatch(text, /warn|error|fail/i);
    return /\(\+\) .* \((\w+ \w+)/.exec(text)[1];
  });
  const sounds = Array(4).fill('opus 2ch');
  const pictures = ['vp8', 'h264', 'vp9', 'av1'].map((codec) => `${codec} 640x360`);
  assert.deepEqual(played.sort(), [...sounds, ...pictures].sort());
});
