// The program is killed in mid-recording; nothing but the last second may be gone.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Reelroom, freePort, temporaryFolder, until } from '../harness.mjs';
import { decodeAll, probe } from './film.mjs';
import { BLUE, Person, RED } from './people.mjs';

const seed = Number(process.env.SEED ?? Date.now() % 100_000);

/** Mulberry32. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(`a killed recording is there after the next start (SEED=${seed})`, { timeout: 150_000 }, async (t) => {
  const draw = random(seed);
  const person = await Person.arrive(RED);
  let server = await Reelroom.start();
  for (const round of [1, 2, 3]) {
    const room = `Crash ${round}`;
    await person.join(server.url, room, 'Ada');
    await person.recordButton('Start Recording').click();
    await person.recordButton('Stop Recording').waitFor();
    const began = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 2000 + draw() * 4000));
    await server.kill9();
    const recorded = (Date.now() - began) / 1000;
    server = await server.restart();
    const query = `${server.url}/recordings?roomName=${encodeURIComponent(room)}`;
    const recording = await until(
      async () => {
        const { recordings } = await (await fetch(query)).json();
        return recordings.find(({ status }) => status === 'complete');
      },
      'its recovery',
      30,
    );
    const file = join(temporaryFolder(), 'recovered.mp4');
    const answer = await fetch(`${server.url}/recordings/${encodeURIComponent(recording.name)}`);
    writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
    decodeAll(file);
    const { duration } = probe(file);
    t.diagnostic(`killed after ${recorded.toFixed(2)} s, kept ${duration.toFixed(2)} s`);
    assert.ok(duration > recorded - 1, `${recorded - duration} s are missing`);
    assert.ok(duration < recorded + 1, `${duration} s of ${recorded} s`);
  }
  await person.leave();
  await server.stop();
});

test('a server that is stopped says goodbye', { timeout: 60_000 }, async () => {
  const server = await Reelroom.start();
  const person = await Person.arrive(RED);
  await person.join(server.url, 'Goodbye', 'Ada');
  await server.stop();
  await person.page.getByText('The server was stopped').waitFor();
  await person.leave();
});

test('a recording that a crash ended is not shown as running, and everybody is asked once', { timeout: 150_000 }, async () => {
  let server = await Reelroom.start([], { SERVER_PORT: String(await freePort()) });
  const [ada, bob] = await Promise.all([Person.arrive(RED), Person.arrive(BLUE)]);
  const room = 'Again';
  await ada.join(server.url, room, 'Ada');
  await bob.join(server.url, room, 'Bob');
  const again = (person) => person.recordButton('Record again');
  const running = (person) => person.page.getByText('Room is being recorded');
  const crash = async () => {
    await ada.recordButton('Stop Recording').waitFor();
    await running(bob).waitFor();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await server.kill9();
    for (const person of [ada, bob]) {
      await person.page.getByText('Whether it still records is not known').waitFor();
      await running(person).waitFor({ state: 'detached' });
      assert.equal(await person.recordButton('Stop Recording').isDisabled(), true);
    }
    server = await server.restart();
    for (const person of [ada, bob]) await again(person).waitFor({ timeout: 60_000 });
  };
  await ada.recordButton('Start Recording').click();
  await crash();
  // One decides for all: to record again,
  await again(bob).click();
  for (const person of [ada, bob]) {
    await running(person).waitFor();
    await again(person).waitFor({ state: 'detached' });
  }
  await crash();
  // or not to. Somebody who comes afterwards is not asked either, nor is somebody who comes back.
  await ada.recordButton('No').click();
  for (const person of [ada, bob]) await again(person).waitFor({ state: 'detached' });
  const recovered = async () =>
    (await (await fetch(`${server.url}/recordings?roomName=${room}`)).json()).recordings[0];
  await until(async () => (await recovered()).recovered, 'the recovery', 60);
  const eve = await Person.arrive(BLUE);
  await eve.join(server.url, room, 'Eve');
  await ada.page.getByRole('button', { name: 'Leave room' }).click();
  await ada.join(server.url, room, 'Ada');
  for (const person of [ada, bob, eve]) await person.recordButton('Start Recording').waitFor();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  for (const person of [ada, bob, eve]) assert.equal(await again(person).count(), 0);
  await Promise.all([ada.leave(), bob.leave(), eve.leave()]);
  await server.stop();
});
