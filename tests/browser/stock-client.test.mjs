// The stock livekit-client in Chromium against the media server: what any LiveKit app does.

import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { AccessToken } from 'livekit-server-sdk';
import { KEY, Reelroom, SECRET, browser, until } from '../harness.mjs';

const clientScript = join(dirname(createRequire(import.meta.url).resolve('livekit-client')), 'livekit-client.umd.js');
const page = '<!doctype html><title>stock client</title><script src="/client.js"></script>';

let media;
let site;
let chrome;

before(async () => {
  media = await Reelroom.start(['media']);
  site = createServer((request, response) => {
    if (request.url === '/client.js') {
      response.setHeader('content-type', 'text/javascript');
      createReadStream(clientScript).pipe(response);
    } else {
      response.setHeader('content-type', 'text/html');
      response.end(page);
    }
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  site?.close();
  await media?.stop();
});

async function join_(identity, room, options = {}) {
  const token = new AccessToken(KEY, SECRET, { identity, name: identity });
  token.addGrant({ roomJoin: true, room });
  const context = await chrome.newContext({ permissions: ['camera', 'microphone'] });
  const tab = await context.newPage();
  tab.on('console', (message) => process.env.LOG && console.log(identity, message.text()));
  await tab.goto(`http://localhost:${site.address().port}/`);
  await tab.evaluate(
    async ([url, jwt, roomOptions]) => {
      const { Room, RoomEvent } = window.LivekitClient;
      const room = new Room(roomOptions);
      window.room = room;
      window.seen = { data: [], events: [] };
      room.on(RoomEvent.TrackSubscribed, (track) => document.body.append(track.attach()));
      room.on(RoomEvent.TrackUnsubscribed, (track) => {
        for (const element of track.detach()) element.remove();
      });
      room.on(RoomEvent.DataReceived, (bytes) => window.seen.data.push(new TextDecoder().decode(bytes)));
      room.on(RoomEvent.ActiveSpeakersChanged, (all) => window.seen.events.push(`speakers ${all.length}`));
      room.on(RoomEvent.Disconnected, (reason) => window.seen.events.push(`disconnected ${reason}`));
      await room.connect(url, jwt);
    },
    [media.url.replace('http', 'ws'), await token.toJwt(), options],
  );
  return tab;
}

const publish = (tab, options = {}) =>
  tab.evaluate(async (publishOptions) => {
    const local = window.room.localParticipant;
    await local.setCameraEnabled(true, { resolution: { width: 1280, height: 720, frameRate: 30 } }, publishOptions);
    await local.setMicrophoneEnabled(true);
  }, options);

const leave = (tab) => tab.evaluate(() => window.room.disconnect());

/** The videos that play on a tab, as [width, height]. */
const playing = (tab) =>
  tab.evaluate(() =>
    [...document.querySelectorAll('video')]
      .filter((video) => video.currentTime > 0.3 && video.videoWidth > 0)
      .map((video) => [video.videoWidth, video.videoHeight]),
  );

test('two browsers see each other, a third that comes late sees both within two seconds', async () => {
  const [ada, bob] = await Promise.all([join_('ada', 'pair'), join_('bob', 'pair')]);
  await Promise.all([publish(ada), publish(bob)]);
  await until(async () => (await playing(ada)).length === 1, 'ada seeing bob');
  await until(async () => (await playing(bob)).length === 1, 'bob seeing ada');
  const carol = await join_('carol', 'pair');
  await until(async () => (await playing(carol)).length === 2, 'carol seeing both', 4);
  await Promise.all([leave(ada), leave(bob), leave(carol)]);
});

test('simulcast: a small tile gets a small picture', async () => {
  const [ada, bob] = await Promise.all([join_('ada', 'simulcast'), join_('bob', 'simulcast')]);
  await publish(ada, { videoCodec: 'vp8', simulcast: true });
  await until(async () => (await playing(bob))[0]?.[0] === 1280, 'the full layer', 30);
  await bob.evaluate(() => {
    for (const participant of window.room.remoteParticipants.values())
      for (const publication of participant.videoTrackPublications.values())
        publication.setVideoQuality(window.LivekitClient.VideoQuality.LOW);
  });
  await until(async () => (await playing(bob))[0]?.[0] === 320, 'the small layer', 20);
  await Promise.all([leave(ada), leave(bob)]);
});

test('mute, screen share, unpublish, publish again, data', async () => {
  const [ada, bob] = await Promise.all([join_('ada', 'events'), join_('bob', 'events')]);
  await publish(ada);
  await until(async () => (await playing(bob)).length === 1, 'the camera');
  await ada.evaluate(() => window.room.localParticipant.setCameraEnabled(false));
  const muted = () =>
    bob.evaluate(() => window.room.remoteParticipants.values().next().value.isCameraEnabled === false);
  await until(muted, 'the mute');
  await ada.evaluate(async () => {
    const local = window.room.localParticipant;
    const camera = local.getTrackPublication(window.LivekitClient.Track.Source.Camera);
    await local.unpublishTrack(camera.track);
    await local.setCameraEnabled(true);
  });
  await until(async () => (await playing(bob)).length === 1, 'the camera published again');
  await ada.evaluate(() => window.room.localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true }));
  await until(() => bob.evaluate(() => window.seen.data.includes('hello')), 'data');
  await Promise.all([leave(ada), leave(bob)]);
});

test('a deleted room tells everybody', async () => {
  const [ada, bob] = await Promise.all([join_('ada', 'room deleted'), join_('bob', 'room deleted')]);
  await publish(ada);
  await until(async () => (await playing(bob)).length === 1, 'the picture');
  const { RoomServiceClient } = await import('livekit-server-sdk');
  const rooms = new RoomServiceClient(media.url, KEY, SECRET);
  assert.equal((await rooms.listParticipants('room deleted')).length, 2);
  await rooms.deleteRoom('room deleted');
  const reason = () => bob.evaluate(() => window.seen.events.find((event) => event.startsWith('disconnected')));
  await until(reason, 'being told that the room was deleted');
  assert.equal((await rooms.listRooms()).filter((room) => room.name === 'room deleted').length, 0);
});
