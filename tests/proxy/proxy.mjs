// A call through nginx at SITE, from another machine; scripts/test-proxy makes both.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeAll, halves, tone } from '../browser/film.mjs';
import { FIREFOX_HZ, FirefoxPerson } from '../browser/firefox-person.mjs';
import { BLUE, isBlue, Person } from '../browser/people.mjs';
import { temporaryFolder, until } from '../harness.mjs';

const SITE = process.env.SITE;
const ROOM = `Behind ${SITE}`;
// The certificate is nobody's.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

test(`a call through ${SITE} has media, and its recording comes through whole`, { timeout: 180_000 }, async (t) => {
  const [ada, bob] = await Promise.all([FirefoxPerson.arrive(), Person.arrive(BLUE)]);
  await Promise.all([ada.join(SITE, ROOM, 'Ada'), bob.join(SITE, ROOM, 'Bob')]);
  await Promise.all([ada.seesColour('Bob', isBlue), bob.hears(FIREFOX_HZ)]);
  await bob.recordButton('Start Recording').click();
  await ada.reads('Room is being recorded');
  await new Promise((resolve) => setTimeout(resolve, 4000));
  await bob.recordButton('Stop Recording').click();
  const query = `${SITE}/recordings?roomName=${encodeURIComponent(ROOM)}`;
  const listed = async () => (await (await fetch(query)).json()).recordings[0];
  const recording = await until(async () => (await listed())?.status === 'complete' && listed(), 'the file', 90);
  const file = join(temporaryFolder(), 'film.mp4');
  const answer = await fetch(`${SITE}/recordings/${encodeURIComponent(recording.name)}`);
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  decodeAll(file);
  const sides = halves(file);
  const blues = ['left', 'right'].map((side) => sides[side].filter(isBlue).length / sides[side].length);
  assert.ok(Math.max(...blues) > 0.7, `blue is seen ${blues} of the time`);
  const heard = tone(file, FIREFOX_HZ).filter((strength) => strength > 0.02).length / 100;
  t.diagnostic(`${recording.duration} s, ${recording.size} bytes; Firefox's tone is heard for ${heard.toFixed(1)} s`);
  assert.ok(heard > 2.5, `Firefox is heard for ${heard} s`);
  await Promise.all([ada.leave(), bob.leave()]);
});

test(`what happens is told through ${SITE} as it happens`, { timeout: 60_000 }, async () => {
  const answer = await fetch(`${SITE}/events`);
  const reader = answer.body.getReader();
  const late = new Promise((resolve) => setTimeout(resolve, 5000, { value: new Uint8Array() }));
  const { value } = await Promise.race([reader.read(), late]);
  assert.match(new TextDecoder().decode(value), /event: reload/);
  await reader.cancel();
});
