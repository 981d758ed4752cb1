// Firefox and Chromium in one call, on the settings that everybody begins with.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Reelroom, temporaryFolder, until } from '../harness.mjs';
import { decodeAll, halves, probe, tone } from './film.mjs';
import { FIREFOX_HZ, FirefoxPerson } from './firefox-person.mjs';
import { BLUE, isBlue, Person } from './people.mjs';

const SECONDS = 6;
const ROOM = 'Two browsers';
const share = (list, condition) => list.filter(condition).length / list.length;

test('Firefox and Chromium see, hear and record each other', { timeout: 180_000 }, async (t) => {
  const server = await Reelroom.start();
  // The third is Firefox without devices: then it hides its addresses, and has but one.
  const [ada, bob, eve] = await Promise.all([
    FirefoxPerson.arrive(),
    Person.arrive(BLUE),
    FirefoxPerson.arrive({ devices: false }),
  ]);
  await Promise.all([ada.join(server.url, ROOM, 'Ada'), bob.join(server.url, ROOM, 'Bob')]);
  await Promise.all([ada.seesColour('Bob', isBlue), bob.hears(FIREFOX_HZ)]);
  await eve.join(server.url, ROOM, 'Eve');
  await eve.seesColour('Bob', isBlue);
  await eve.leave();

  await ada.press('Start Recording');
  await bob.page.getByText('Room is being recorded').waitFor();
  await ada.button('Stop Recording');
  const seen = new Set();
  const end = Date.now() + SECONDS * 1000;
  while (Date.now() < end) {
    const colour = await bob.colourOf('Ada');
    if (colour) seen.add(colour.map((value) => value >> 5).join());
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await ada.press('Stop Recording');
  t.diagnostic(`Chromium saw ${seen.size} colours of Firefox's camera`);
  assert.ok(seen.size >= 3, 'the picture from Firefox stands still');

  const query = `${server.url}/recordings?roomName=${encodeURIComponent(ROOM)}`;
  const listed = async () => (await (await fetch(query)).json()).recordings[0];
  const { name } = await until(async () => (await listed())?.status === 'complete' && listed(), 'the file', 90);
  const file = join(temporaryFolder(), 'film.mp4');
  const answer = await fetch(`${server.url}/recordings/${encodeURIComponent(name)}`);
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  decodeAll(file);
  const { duration, codecs } = probe(file);
  assert.deepEqual(codecs, ['aac', 'h264']);
  assert.ok(duration > SECONDS - 0.5, `${duration} s`);
  const sides = halves(file);
  const blue = ['left', 'right'].find((side) => share(sides[side], isBlue) > 0.8);
  assert.ok(blue, "Chromium's blue is missing");
  const colours = new Set(sides[blue === 'left' ? 'right' : 'left'].map((colour) => colour.map((value) => value >> 5).join()));
  t.diagnostic(`${colours.size} colours of Firefox's camera are in the file, of ${duration} s`);
  assert.ok(colours.size >= 3, "Firefox's changing colours are missing");
  for (const hz of [FIREFOX_HZ, BLUE.hz]) {
    const heard = share(tone(file, hz), (strength) => strength > 0.02);
    assert.ok(heard > 0.7, `${hz} Hz is heard ${Math.round(heard * 100)} % of the time`);
  }
  await Promise.all([ada.leave(), bob.leave()]);
  await server.stop();
});
