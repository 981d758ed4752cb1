// Somebody in Chromium whose picture tells when it was taken and whose sound tells the second, as `tests/torture/person.py` has it; what
// comes of it in a recording is measured by `tests/torture/sync.py`.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AccessToken } from 'livekit-server-sdk';
import { KEY, SECRET, temporaryFolder, until } from '../harness.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
/** Python, and where its programs are. */
export const python = join(root, '.tools/python/bin/python');
export const torture = join(root, 'tests/torture');

/** Runs in the page, before anything else: `window.person`, whose devices are what `getUserMedia` gives. */
function devices() {
  const TONES_HZ = Array.from({ length: 12 }, (_, n) => 500 + 100 * n);
  const [WIDTH, HEIGHT, TICK_MS, BITS] = [320, 180, 20, 16];
  // What a busy machine does to us is told, and excused.
  const [STALL_S, SLIP_S] = [0.2, 0.06];
  const stalls = [];
  const MARK = [1, 0, 1, 0];
  const began = performance.now();
  const clock = () => (performance.now() - began) / 1000;

  /** A camera that shows the clock. */
  function camera() {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    const context = canvas.getContext('2d', { alpha: false });
    let last = clock();
    const draw = () => {
      const now = clock();
      if (now - last > STALL_S) stalls.push([last, now]);
      last = now;
      window.person.microphone?.check(now);
      const tick = Math.round((clock() * 1000) / TICK_MS);
      for (let cell = 0; cell < 24; cell += 1) {
        const lit = cell < BITS ? (tick >> cell) & 1 : (MARK[cell - 20] ?? 0);
        context.fillStyle = lit ? '#fff' : '#000';
        context.fillRect(((cell % 8) * WIDTH) / 8, (Math.floor(cell / 8) * HEIGHT) / 3, WIDTH / 8, HEIGHT / 3);
      }
    };
    draw();
    setInterval(draw, 66);
    return canvas.captureStream(15).getVideoTracks()[0];
  }

  /** A microphone that hears the second; a suspended one goes on with the second in which it is resumed. */
  class Microphone {
    constructor() {
      this.context = new AudioContext({ sampleRate: 48000 });
      this.oscillator = this.context.createOscillator();
      const volume = this.context.createGain();
      volume.gain.value = 0.4;
      const out = this.context.createMediaStreamDestination();
      this.oscillator.connect(volume).connect(out);
      [this.track] = out.stream.getAudioTracks();
    }

    async start() {
      await this.context.resume();
      this.tune();
      this.oscillator.start();
      return this;
    }

    tune() {
      const { frequency } = this.oscillator;
      const ahead = this.context.currentTime - clock();
      this.ahead = ahead;
      frequency.cancelScheduledValues(0);
      const second = Math.floor(clock());
      frequency.setValueAtTime(TONES_HZ[second % 12], this.context.currentTime);
      for (let next = second + 1; next < second + 120; next += 1) frequency.setValueAtTime(TONES_HZ[next % 12], next + ahead);
    }

    /** Tunes it again where its context's clock has slipped. */
    check(now) {
      if (this.ahead === undefined || this.context.state !== 'running') return;
      const slip = Math.abs(this.context.currentTime - now - this.ahead);
      if (slip <= SLIP_S) return;
      stalls.push([now - slip - 0.2, now]);
      this.tune();
    }

    async resume() {
      this.ahead = undefined;
      await this.context.resume();
      this.tune();
    }
  }

  window.person = { clock, camera, Microphone, microphone: null, stalls };
  navigator.mediaDevices.getUserMedia = async ({ audio }) => {
    window.person.microphone = await new Microphone().start();
    return new MediaStream(audio ? [window.person.microphone.track] : []);
  };
}

/** What a microphone goes through while its RTP time stands still, and what brings it back. */
export const INTERRUPTIONS = [
  {
    what: 'muted, which stops its track, and unmuted',
    stop: (tab) => tab.evaluate(() => window.room.localParticipant.setMicrophoneEnabled(false)),
    go: (tab) => tab.evaluate(() => window.room.localParticipant.setMicrophoneEnabled(true)),
  },
  {
    what: 'its AudioContext is suspended and resumed',
    stop: (tab) => tab.evaluate(() => window.person.microphone.context.suspend()),
    go: (tab) => tab.evaluate(() => window.person.microphone.resume()),
  },
  {
    what: 'its track ends, and is replaced by another one',
    stop: (tab) => tab.evaluate(() => window.person.microphone.context.close()),
    go: (tab) =>
      tab.evaluate(async () => {
        const { microphone, Microphone } = window.person;
        microphone.track.stop();
        window.person.microphone = await new Microphone().start();
        const { track } = window.room.localParticipant.getTrackPublication(window.LivekitClient.Track.Source.Microphone);
        await track.replaceTrack(window.person.microphone.track);
      }),
  },
];

/** Interrupts the microphone of `tab`; gives the event as `sync.py` wants it. */
export async function interrupt(tab, { what, stop, go }, pause) {
  const from_s = await clockOf(tab);
  await stop(tab);
  await seconds(pause);
  await go(tab);
  return { what, from_s, to_s: await clockOf(tab), is_silent: true };
}

export const seconds = (count) => new Promise((resolve) => setTimeout(resolve, 1000 * count));

async function ask(server, path, roomName) {
  const body = JSON.stringify({ roomName });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${server.url}/recordings/${path}`, { method: 'POST', headers, body });
  const { recording, errorMessage } = await answer.json();
  if (!answer.ok) throw new Error(errorMessage);
  return recording;
}

let folder;

/** Records `room` while `live` goes on; gives the finished file. */
export async function recorded(server, room, live) {
  await ask(server, 'start', room);
  await live();
  const { name } = await ask(server, 'stop', room);
  const path = `${server.url}/recordings?roomName=${encodeURIComponent(room)}`;
  const isComplete = async () => (await (await fetch(path)).json()).recordings[0]?.status === 'complete';
  await until(isComplete, 'the file', 60);
  folder ??= temporaryFolder();
  const file = join(folder, `${room}.mp4`);
  const answer = await fetch(`${server.url}/recordings/${encodeURIComponent(name)}`);
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  return file;
}

/** Joins `room` of the server at `url` in a tab of its own, and publishes camera and microphone. */
export async function join_(chrome, site, url, room, options = {}) {
  const token = new AccessToken(KEY, SECRET, { identity: 'ada', name: 'Ada' });
  token.addGrant({ roomJoin: true, room });
  return joinBy_(chrome, site, url, await token.toJwt(), options);
}

/** The same with that token. */
export async function joinBy_(chrome, site, url, jwt, options = {}) {
  const context = await chrome.newContext();
  await context.addInitScript(devices);
  const tab = await context.newPage();
  await tab.goto(site.url);
  await tab.evaluate(
    async ([url, jwt, roomOptions]) => {
      const { Room, Track } = window.LivekitClient;
      window.room = new Room(roomOptions);
      await window.room.connect(url, jwt);
      const local = window.room.localParticipant;
      await local.publishTrack(window.person.camera(), { source: Track.Source.Camera, simulcast: false, videoCodec: 'vp8' });
      const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      await local.setMicrophoneEnabled(true, plain, { dtx: false });
    },
    [url.replace('http', 'ws'), jwt, options],
  );
  return tab;
}

/** The person's clock, as it is in the tab. */
export const clockOf = (tab) => tab.evaluate(() => window.person.clock());

/** When the tab, or the machine under it, was held up, as [from, to]. */
export const stallsOf = (tab) => tab.evaluate(() => window.person.stalls);

/** What `sync.py` says of a recording, given what happened: problems in words, and figures. */
export function measured(file, events, stalls) {
  const script = join(torture, 'sync.py');
  return JSON.parse(execFileSync(python, [script, file, JSON.stringify(events), JSON.stringify(stalls)], { maxBuffer: 1 << 26 }));
}

/** Fails with everything that is wrong with a recording. */
export function isRight(file, events, stalls, t) {
  const { problems, hole_s, still_s, off_s, missing_s } = measured(file, events, stalls);
  const [hole, still, missing, off] = [hole_s, still_s, missing_s, off_s].map((figure) => figure.toFixed(2));
  t.diagnostic(`beyond what happened: silent ${hole} s, still ${still} s, unheard ${missing} s, out of sync ${off} s`);
  assert.deepEqual(problems, [], `${file} ${JSON.stringify(events)} stalls ${JSON.stringify(stalls)}`);
}
