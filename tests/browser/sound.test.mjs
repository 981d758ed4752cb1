// Microphones that stand still while their RTP goes on without a gap, as the stock client in Chromium makes them: what is said after
// that is in the recording, in its place.

import { after, before, test } from 'node:test';
import { ClientSite, Reelroom, TEST_PAGES, browser } from '../harness.mjs';
import { INTERRUPTIONS, interrupt, isRight, join_, recorded, seconds, stallsOf } from './clockwork.mjs';

let server;
let site;
let chrome;

before(async () => {
  server = await Reelroom.start([], TEST_PAGES);
  site = await ClientSite.start();
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  site?.stop();
  await server?.stop();
});

test('a microphone that stood still is heard again at once', { timeout: 120_000 }, async (t) => {
  const tab = await join_(chrome, site, server.url, 'stood still', { publishDefaults: { stopMicTrackOnMute: true } });
  await seconds(1);
  const events = [];
  const file = await recorded(server, 'stood still', async () => {
    await seconds(3);
    for (const interruption of INTERRUPTIONS) {
      events.push(await interrupt(tab, interruption, 1));
      await seconds(4);
    }
  });
  isRight(file, events, await stallsOf(tab), t);
  await tab.evaluate(() => window.room.disconnect());
});
