// What is seen and heard in a video file, decoded by ffmpeg.

import { execFileSync } from 'node:child_process';

const run = (program, args) => execFileSync(program, args, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] });

const WIDTH = 64;
const HEIGHT = 36;
const FPS = 50;
const RATE = 48000;
const HOP = 480;

/** What ffprobe says: seconds, and the codec of each stream. */
export function probe(file) {
  const told = JSON.parse(run('ffprobe', ['-v', 'error', '-show_format', '-show_streams', '-of', 'json', file]));
  return { duration: Number(told.format.duration), codecs: told.streams.map((stream) => stream.codec_name).sort() };
}

/** Decodes everything; throws with ffmpeg's words when anything in it is broken. */
export function decodeAll(file) {
  run('ffmpeg', ['-v', 'error', '-xerror', '-i', file, '-f', 'null', '-']);
}

/** The mean colour of each half of the picture, 50 times a second: `{ left: [[r, g, b], ...], right }`. */
export function halves(file) {
  const filter = `fps=${FPS},scale=${WIDTH}:${HEIGHT}:flags=area`;
  const raw = run('ffmpeg', ['-v', 'error', '-i', file, '-vf', filter, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']);
  const result = { left: [], right: [] };
  const frame = WIDTH * HEIGHT * 3;
  for (let start = 0; start + frame <= raw.length; start += frame) {
    for (const [side, from] of [
      ['left', WIDTH * 0.125],
      ['right', WIDTH * 0.625],
    ]) {
      const sum = [0, 0, 0];
      let count = 0;
      for (let y = HEIGHT * 0.4; y < HEIGHT * 0.6; y += 1) {
        for (let x = from; x < from + WIDTH * 0.25; x += 1) {
          const at = start + (Math.floor(y) * WIDTH + x) * 3;
          for (let c = 0; c < 3; c += 1) sum[c] += raw[at + c];
          count += 1;
        }
      }
      result[side].push(sum.map((value) => value / count));
    }
  }
  return result;
}

/** The strength of one tone, 100 times a second, 0 to 1 (Goertzel over 20 ms). */
export function tone(file, hz) {
  const raw = run('ffmpeg', ['-v', 'error', '-i', file, '-ac', '1', '-ar', String(RATE), '-f', 'f32le', '-']);
  const samples = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + (raw.length & ~3)));
  const window = HOP * 2;
  const k = 2 * Math.cos((2 * Math.PI * hz) / RATE);
  const strengths = [];
  for (let start = 0; start + window <= samples.length; start += HOP) {
    let [before, last] = [0, 0];
    for (let i = start; i < start + window; i += 1) [before, last] = [last, samples[i] + k * last - before];
    strengths.push((2 * Math.sqrt(Math.max(0, last * last + before * before - k * last * before))) / window);
  }
  return strengths;
}

/** When a series climbs over half of its highest value, in seconds. */
export function onsets(series, perSecond) {
  const half = Math.max(...series) / 2;
  const found = [];
  for (let i = 1; i < series.length; i += 1) {
    if (series[i - 1] < half && series[i] >= half) {
      const part = (half - series[i - 1]) / (series[i] - series[i - 1]);
      found.push((i - 1 + part) / perSecond);
    }
  }
  return found;
}

/** How much later than its flash a beep is, in ms, in the middle of all of them. */
export function flashToBeep(file, side, hz) {
  const flashes = onsets(halves(file)[side].map((colour) => Math.max(0, colour[1] - 40)), FPS);
  // A window of 20 ms sees the beginning of a tone half a window early.
  const beeps = onsets(tone(file, hz), RATE / HOP).map((time) => time + 0.01);
  const offsets = flashes
    .map((flash) => beeps.map((beep) => (beep - flash) * 1000).sort((a, b) => Math.abs(a) - Math.abs(b))[0])
    .filter((offset) => offset !== undefined)
    .sort((a, b) => a - b);
  return { median: offsets[Math.floor(offsets.length / 2)], count: offsets.length, all: offsets };
}
