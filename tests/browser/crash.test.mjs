// The program is killed in mid-recording; nothing but the last second may be gone.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Reelroom, temporaryFolder, until } from '../harness.mjs';
import { decodeAll, probe } from './film.mjs';
import { Person, RED } from './people.mjs';

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
