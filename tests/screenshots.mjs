// Takes a picture of every screen, at desktop and phone width: node screenshots.mjs FOLDER [desktop|phone]

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Reelroom, browser, until } from './harness.mjs';

const folder = process.argv[2] ?? 'screenshots';
mkdirSync(folder, { recursive: true });
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

/** A drawn person who moves a little, instead of a camera. */
function drawnCamera({ background, skin, shirt }) {
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const stream = new MediaStream();
    if (video) {
      const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
      const c = canvas.getContext('2d');
      const disc = (x, y, rx, ry, colour) => {
        c.fillStyle = colour;
        c.beginPath();
        c.ellipse(x, y, rx, ry, 0, 0, 7);
        c.fill();
      };
      setInterval(() => {
        const sway = 14 * Math.sin(performance.now() / 700);
        const wall = c.createLinearGradient(0, 0, 1280, 720);
        wall.addColorStop(0, background[0]);
        wall.addColorStop(1, background[1]);
        c.fillStyle = wall;
        c.fillRect(0, 0, 1280, 720);
        disc(640 + sway / 2, 790, 330, 300, shirt);
        disc(640 + sway, 330, 150, 185, skin);
        disc(640 + sway, 235, 165, 110, '#2b2320');
        disc(590 + sway, 350, 13, 16, '#222');
        disc(690 + sway, 350, 13, 16, '#222');
        disc(640 + sway, 435, 48, 16 + Math.abs(sway), '#8c3b32');
      }, 100);
      stream.addTrack(canvas.captureStream(10).getVideoTracks()[0]);
    }
    if (audio) {
      const clock = new AudioContext();
      const out = clock.createMediaStreamDestination();
      const voice = new OscillatorNode(clock, { frequency: 180 });
      voice.connect(new GainNode(clock, { gain: 0.05 })).connect(out);
      voice.start();
      stream.addTrack(out.stream.getAudioTracks()[0]);
    }
    return stream;
  };
}

const ADA = { background: ['#3f5d78', '#9fb4c7'], skin: '#e8b796', shirt: '#27496d' };
const BOB = { background: ['#6a5a4a', '#cdbda8'], skin: '#8d5a3c', shirt: '#a63d40' };
const EVE = { background: ['#3e6651', '#b7cdb8'], skin: '#f0c9a8', shirt: '#4b3f72' };

const server = await Reelroom.start();
const chrome = await browser();

async function open(look, viewport, scheme = 'dark') {
  const context = await chrome.newContext({ viewport, colorScheme: scheme });
  await context.addInitScript(drawnCamera, look);
  const page = await context.newPage();
  await page.goto(server.url);
  return page;
}

async function join_(page, name, room) {
  await page.getByLabel('Participant').fill(name);
  await page.getByLabel('Room', { exact: true }).fill(room);
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.getByRole('button', { name: 'Leave room' }).waitFor();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const button = (page, name) => page.getByRole('button', { name, exact: true });

const bob = await open(BOB, SIZES.desktop);
await join_(bob, 'Bob', 'Weekly review');
const eve = await open(EVE, SIZES.desktop);
await join_(eve, '李 Eve', 'Weekly review');

const sizes = Object.entries(SIZES).filter(([size]) => size.startsWith(process.argv[3] ?? ''));
for (const [size, viewport] of sizes) {
  for (const scheme of ['dark', 'light']) {
    const shot = (page, name) => page.screenshot({ path: join(folder, `${name}-${size}-${scheme}.png`) });
    const ada = await open(ADA, viewport, scheme);
    await pause(1500);
    await shot(ada, '1-join');
    await join_(ada, 'Ada', 'Weekly review');
    await until(() => ada.evaluate(() => document.querySelectorAll('video').length >= 3), 'three pictures');
    await pause(2500);
    await shot(ada, '2-call');
    await button(ada, 'Start Recording').click();
    await button(ada, 'Stop Recording').waitFor();
    await pause(3500);
    await shot(ada, '3-recording');
    await button(ada, 'Stop Recording').click();
    const show = ada.getByRole('button', { name: 'Show recordings' });
    if (await show.isVisible()) await show.click();
    await ada.locator('[data-recording][data-status=complete]').first().waitFor({ timeout: 120_000 });
    await pause(5500);
    await shot(ada, '4-recorded');
    // On a phone the recordings cover the call.
    const hide = ada.getByRole('complementary').getByRole('button', { name: 'Hide recordings' });
    if (await hide.isVisible()) await hide.click();
    await ada.getByRole('button', { name: 'Leave room' }).click();
    await ada.getByText('You left the room').waitFor();
    await shot(ada, '5-left');
    await ada.goto(`${server.url}/recordings.html`);
    await ada.locator('[data-recording]').first().waitFor();
    await shot(ada, '6-recordings');
    await ada.locator('[data-recording]').first().getByRole('button', { name: 'Play' }).click();
    await until(() => ada.locator('dialog video, [role=dialog] video').evaluate((v) => v.currentTime > 1), 'playing');
    await shot(ada, '7-player');
    await ada.keyboard.press('Escape');
    await ada.locator('[data-recording]').first().getByRole('button', { name: 'Details of' }).click();
    await ada.getByRole('dialog').getByText('SHA-256').waitFor();
    await shot(ada, '8-report');
    await ada.keyboard.press('Escape');
    await ada.locator('[data-recording]').first().getByRole('button', { name: 'Delete' }).click();
    await pause(300);
    await shot(ada, '9-delete');
    await ada.context().close();
  }
}

// The owner's page, part by part.
const PASSWORD = 'correct horse battery';
const owned = await Reelroom.start([], {
  ACCESS: 'invite',
  LIVEKIT_API_KEY: '',
  LIVEKIT_API_SECRET: '',
  WEBHOOK_URLS: 'http://127.0.0.1:9/hook',
});
const first = await open(ADA, SIZES.desktop);
await first.goto(await owned.ownerLink());
for (const label of ['New password', 'Once more']) await first.getByLabel(label, { exact: true }).fill(PASSWORD);
await button(first, 'Set the password').click();
await first.getByLabel('Name of a new room').fill('Weekly review');
await button(first, 'Make room').click();
await first.locator('[data-room]').waitFor();
await first.goto(`${owned.url}/owner#keys`);
await first.getByLabel('Name of a new key').fill('backup');
for (const right of ['See which recordings there are', 'Play recordings']) await first.getByLabel(right, { exact: true }).check();
await button(first, 'Make a key').click();
await first.getByText('The key is shown this once').waitFor();
for (const [size, viewport] of sizes) {
  for (const scheme of ['dark', 'light']) {
    const ada = await open(ADA, viewport, scheme);
    await ada.goto(`${owned.url}/owner`);
    await ada.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await button(ada, 'Sign in').click();
    for (const part of ['Now', 'Rooms', 'Links', 'Sessions', 'API keys', 'Receivers', 'Audit log', 'Settings']) {
      await ada.getByRole('link', { name: part, exact: true }).click();
      await pause(700);
      const path = join(folder, `owner-${part.toLowerCase().replace(' ', '-')}-${size}-${scheme}.png`);
      await ada.screenshot({ path, fullPage: true });
    }
    await ada.context().close();
  }
}
await owned.stop();
await chrome.close();
await server.stop();
process.exit(0);
