// Chromium's part of `scripts/live-sound`: the stock client whose microphone stands still, and whose network slows down. Prints a row of JSON for
// each recording.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ClientSite, Reelroom, TEST_PAGES, browser, temporaryFolder } from '../harness.mjs';
import { INTERRUPTIONS, clockOf, interrupt, join_, measured, python, recorded, seconds, stallsOf, torture } from './clockwork.mjs';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const MUTED_FOR_GOOD_S = 15;
// What follows arrivals too slowly fails seconds later.
const SLOW_S = 14;

const server = await Reelroom.start([], TEST_PAGES);
const site = await ClientSite.start();

// When the machine held the relay up, by its clock.
const lates = [];

/** The same by the tab's clock. */
async function relayed(tab) {
  // Both clocks are read within a moment.
  const ahead = process.hrtime.bigint();
  const now = await clockOf(tab);
  const toClock = (monotonic) => monotonic - Number(ahead) / 1e9 + now;
  return lates.map((late) => late.map(toClock)).filter(([, stop]) => stop > 0);
}

async function row(chrome, room, what, live) {
  const tab = await join_(chrome, site, server.url, room, { publishDefaults: { stopMicTrackOnMute: true } });
  await seconds(1);
  const events = [];
  const file = await recorded(server, room, async () => {
    await seconds(3);
    await live(tab, events);
  });
  const stalls = [...(await stallsOf(tab)), ...(await relayed(tab))];
  const found = measured(file, events, stalls);
  console.log(JSON.stringify({ client: `livekit-client in Chromium ${chrome.version()}`, what, events, stalls, ...found }));
  await tab.evaluate(() => window.room.disconnect());
}

const near = await browser();
for (const pause of [0.3, 1, 5])
  await row(near, `stood still for ${pause}`, `microphone muted by stopping its track, suspended, replaced; ${pause} s each`, async (tab, events) => {
    for (const interruption of INTERRUPTIONS) {
      events.push(await interrupt(tab, interruption, pause));
      await seconds(4);
    }
  });
await row(near, 'muted for good', `microphone muted by stopping its track for ${MUTED_FOR_GOOD_S} s`, async (tab, events) => {
  events.push(await interrupt(tab, INTERRUPTIONS[0], MUTED_FOR_GOOD_S));
  await seconds(6);
});
await near.close();

const media = server.log.map((line) => line.match(/media is received port=(\d+)/)?.[1]).find(Boolean);
const ports = ['--udp', media, '--tcp', new URL(server.url).port, String(site.port)];
const relay = spawn(python, [join(torture, 'relay.py'), ...ports], { stdio: ['pipe', 'pipe', 'inherit'] });
const said = createInterface({ input: relay.stdout });
const [namespace] = await once(said, 'line');
said.on('line', (line) => lates.push(line.split(' ').slice(1).map(Number)));
const within = join(temporaryFolder(), 'chromium');
writeFileSync(within, `#!/bin/sh\nexec nsenter --net=${namespace} ${CHROMIUM} "$@"\n`);
chmodSync(within, 0o755);
process.env.CHROMIUM = within;
const far = await browser();
for (const delay of [0.15, 0.3])
  await row(far, `delayed by ${delay}`, `network's delay rises by ${1000 * delay} ms for ${SLOW_S} s, and falls`, async (tab, events) => {
    for (const [now, change, hold] of [
      [delay, delay, SLOW_S],
      [0, -delay, 6],
    ]) {
      const at = await clockOf(tab);
      relay.stdin.write(`${now} queue\n`);
      events.push({ what: `delay ${now} s`, from_s: at, to_s: at, delay_s: change });
      await seconds(hold);
    }
  });
await far.close();
relay.stdin.end();
site.stop();
await server.stop();
process.exit(0);
