// Files by the stock livekit-client in Chromium: they arrive whole, and who does not take them is told.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AccessToken } from 'livekit-server-sdk';
import { ClientSite, KEY, Reelroom, SECRET, TEST_PAGES, browser, until } from '../harness.mjs';

const MEGABYTES = Number(process.env.DATA_MEGABYTES ?? 20);

let media;
let site;
let chrome;

before(async () => {
  media = await Reelroom.start([], TEST_PAGES);
  site = await ClientSite.start();
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  site?.stop();
  await media?.stop();
});

async function join(identity, room) {
  const token = new AccessToken(KEY, SECRET, { identity, name: identity });
  token.addGrant({ roomJoin: true, room });
  const tab = await (await chrome.newContext()).newPage();
  await tab.goto(site.url);
  await tab.evaluate(
    async ([url, jwt]) => {
      const { Room, RoomEvent } = window.LivekitClient;
      const room = new Room();
      window.room = room;
      window.got = [];
      window.late = [];
      const digest = async (bytes) => {
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      };
      window.digest = digest;
      room.registerByteStreamHandler('files', async (reader, from) => {
        try {
          const chunks = await reader.readAll();
          const whole = new Uint8Array(await new Blob(chunks).arrayBuffer());
          window.got.push({ from: from.identity, size: whole.length, digest: await digest(whole) });
        } catch (error) {
          window.got.push({ from: from.identity, error: error.message });
        }
      });
      room.on(RoomEvent.DataReceived, (bytes) => window.late.push(Date.now() - Number(new TextDecoder().decode(bytes))));
      await room.connect(url, jwt);
    },
    [media.url.replace('http', 'ws'), await token.toJwt()],
  );
  return tab;
}

/** Sends a file of random bytes, with a lossy word twenty times a second beside it, and gives its digest. */
const send = (tab) =>
  tab.evaluate(async (megabytes) => {
    const bytes = new Uint8Array(megabytes * 1_000_000);
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    const words = setInterval(
      () => window.room.localParticipant.publishData(new TextEncoder().encode(String(Date.now())), { reliable: false }),
      50,
    );
    await window.room.localParticipant.sendFile(new File([bytes], 'film.mp4'), { topic: 'files' });
    clearInterval(words);
    return window.digest(bytes);
  }, MEGABYTES);

const got = (tab) => tab.evaluate(() => window.got);

test(`a file of ${MEGABYTES} MB reaches two browsers whole, and words overtake it`, async () => {
  const [ada, bob, carol] = await Promise.all([join('ada', 'file'), join('bob', 'file'), join('carol', 'file')]);
  const began = Date.now();
  const digest = await send(ada);
  for (const tab of [bob, carol]) await until(async () => (await got(tab)).length === 1, 'the file', 60 + 4 * MEGABYTES);
  const took = (Date.now() - began) / 1000;
  for (const tab of [bob, carol])
    assert.deepEqual(await got(tab), [{ from: 'ada', size: MEGABYTES * 1_000_000, digest }]);
  const late = await bob.evaluate(() => window.late);
  console.log(`${MEGABYTES} MB in ${took} s; ${late.length} words, the latest ${Math.max(...late)} ms late`);
  assert.ok(late.length > 0);
  for (const tab of [ada, bob, carol]) await tab.evaluate(() => window.room.disconnect());
});
