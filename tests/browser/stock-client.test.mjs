// The stock livekit-client in Chromium against the media server: what any LiveKit app does.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AccessToken } from 'livekit-server-sdk';
import { decodeAll, halves, probe } from './film.mjs';
import { ClientSite, KEY, Reelroom, SECRET, TEST_PAGES, browser, temporaryFolder, until } from '../harness.mjs';

/** A WAV file of one second of 400 Hz, which browsers repeat, so that it never falls silent. */
function tone() {
  const rate = 48_000;
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + rate * 2, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(rate * 2, 40);
  const samples = Int16Array.from({ length: rate }, (_, n) => 8_000 * Math.sin((2 * Math.PI * 400 * n) / rate));
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
}

let media;
let site;
let chrome;

before(async () => {
  media = await Reelroom.start([], TEST_PAGES);
  site = await ClientSite.start();
  const microphone = join(temporaryFolder(), 'tone.wav');
  writeFileSync(microphone, tone());
  chrome = await browser([`--use-file-for-fake-audio-capture=${microphone}`]);
});

after(async () => {
  await chrome?.close();
  site?.stop();
  await media?.stop();
});

/** `prepare` runs on the page before it joins. */
async function join_(identity, room, options = {}, prepare = () => {}) {
  const token = new AccessToken(KEY, SECRET, { identity, name: identity });
  token.addGrant({ roomJoin: true, room });
  const context = await chrome.newContext({ permissions: ['camera', 'microphone'] });
  const tab = await context.newPage();
  tab.on('console', (message) => process.env.LOG && console.log(identity, message.text()));
  await tab.goto(site.url);
  await tab.evaluate(prepare);
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

/** As clients connect by default, and as older ones do. */
const CONNECTIONS = [
  ['by one connection', { singlePeerConnection: true }],
  ['by two connections', { singlePeerConnection: false }],
];

for (const [by, options] of CONNECTIONS)
  test(`two browsers see each other ${by}, a third that comes late sees both within two seconds`, async () => {
    const room = `pair ${by}`;
    const [ada, bob] = await Promise.all([join_('ada', room, options), join_('bob', room, options)]);
    await Promise.all([publish(ada), publish(bob)]);
    await until(async () => (await playing(ada)).length === 1, 'ada seeing bob');
    await until(async () => (await playing(bob)).length === 1, 'bob seeing ada');
    const carol = await join_('carol', room, options);
    await until(async () => (await playing(carol)).length === 2, 'carol seeing both', 4);
    await Promise.all([leave(ada), leave(bob), leave(carol)]);
  });

/** The layers of a tab's camera that it sends now: width and codec of each. */
const sending = (tab) =>
  tab.evaluate(async () => {
    const camera = window.room.localParticipant.getTrackPublication(window.LivekitClient.Track.Source.Camera);
    const stats = await camera.track.sender.getStats();
    return [...stats.values()]
      .filter((one) => one.type === 'outbound-rtp' && one.framesPerSecond > 0)
      .map((one) => ({ width: one.frameWidth, codec: stats.get(one.codecId)?.mimeType }));
  });

/** The codec in which the first video arrives at a tab. */
const receivedCodec = (tab) =>
  tab.evaluate(async () => {
    const publications = [...window.room.remoteParticipants.values()].flatMap((one) => [...one.videoTrackPublications.values()]);
    const stats = await publications[0].track.receiver.getStats();
    const inbound = [...stats.values()].find((one) => one.type === 'inbound-rtp');
    return stats.get(inbound.codecId)?.mimeType;
  });

const askQuality = (tab, quality) =>
  tab.evaluate((wanted) => {
    for (const participant of window.room.remoteParticipants.values())
      for (const publication of participant.videoTrackPublications.values())
        publication.setVideoQuality(window.LivekitClient.VideoQuality[wanted]);
  }, quality);

for (const codec of ['VP8', 'H264'])
  test(`simulcast in ${codec}: a small tile gets a small picture`, async () => {
    const room = `simulcast ${codec}`;
    const [ada, bob] = await Promise.all([join_('ada', room), join_('bob', room)]);
    await publish(ada, { videoCodec: codec.toLowerCase(), simulcast: true });
    // A browser on a busy machine holds its full layer back until its own estimate allows it: that is not for us to judge.
    const sendsFull = async () => (await sending(ada)).some((layer) => layer.width === 1280);
    await until(sendsFull, 'the browser sending the full layer', 60);
    const receives = async (width) => (await playing(bob))[0]?.[0] === width;
    await until(() => receives(1280), 'the full layer', 30);
    await askQuality(bob, 'LOW');
    await until(() => receives(320), 'the small layer');
    await askQuality(bob, 'HIGH');
    await until(() => receives(1280), 'the full layer again', 30);
    // The microphone was negotiated after the camera: that must not have changed what the camera sends.
    for (const layer of await sending(ada)) assert.equal(layer.codec, `video/${codec}`);
    assert.equal(await receivedCodec(bob), `video/${codec}`);
    await Promise.all([leave(ada), leave(bob)]);
  });

const setColour = (tab, colour) =>
  tab.evaluate((fill) => {
    window.fill = fill;
  }, colour);

/** Publishes a camera of one colour, which can be changed, in which a small white square moves along the upper edge. */
const publishColour = (tab, colour, options) =>
  tab.evaluate(
    async ([fill, publishOptions]) => {
      window.fill = fill;
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [640, 360];
      const context = canvas.getContext('2d');
      let at = 0;
      setInterval(() => {
        context.fillStyle = window.fill;
        context.fillRect(0, 0, 640, 360);
        context.fillStyle = '#fff';
        context.fillRect((at += 8) % 600, 0, 40, 40);
      }, 60);
      const [track] = canvas.captureStream(15).getVideoTracks();
      const { Camera } = window.LivekitClient.Track.Source;
      await window.room.localParticipant.publishTrack(track, { source: Camera, ...publishOptions });
    },
    [colour, options],
  );

async function record(path, roomName) {
  const body = JSON.stringify({ roomName });
  const answer = await fetch(`${media.url}/recordings/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { recording, errorMessage } = await answer.json();
  assert.equal(answer.status, 200, errorMessage);
  return recording;
}

/** Waits for a recording, and gives it as a file. */
async function downloaded(name) {
  const listed = async () => (await (await fetch(`${media.url}/recordings`)).json()).recordings.find((one) => one.name === name);
  await until(async () => (await listed())?.status === 'complete', 'the file', 60);
  const file = join(temporaryFolder(), 'recording.mp4');
  writeFileSync(file, Buffer.from(await (await fetch(`${media.url}/recordings/${encodeURIComponent(name)}`)).arrayBuffer()));
  return file;
}

const isRed = ([red, green, blue]) => red > 140 && green < 90 && blue < 90;

const seconds = (count) => new Promise((resolve) => setTimeout(resolve, 1000 * count));

for (const codec of ['VP9', 'AV1'])
  test(`scalable video in ${codec} is seen by others and in the recording`, async () => {
    const room = `scalable ${codec}`;
    const [ada, bob] = await Promise.all([join_('ada', room), join_('bob', room)]);
    await publishColour(ada, '#e00000', { videoCodec: codec.toLowerCase() });
    await until(async () => (await playing(bob))[0]?.[0] === 640, 'the full picture', 30);
    assert.equal(await receivedCodec(bob), `video/${codec}`);
    const { name } = await record('start', room);
    const shown = () => bob.evaluate(() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames);
    const before = await shown();
    await seconds(5);
    assert.ok((await shown()) - before > 30, 'the picture moves');
    await record('stop', room);
    const file = await downloaded(name);
    assert.ok(probe(file).duration > 4);
    decodeAll(file);
    const { left, right } = halves(file);
    // The first keyframe may take a moment; from the second second on, ada is in her tile without a break.
    const whole = [left, right].some((tile) => tile.slice(75, 200).every(isRed));
    assert.ok(whole, `no tile stays red: ${JSON.stringify([left[100], right[100]])}`);
    await Promise.all([leave(ada), leave(bob)]);
  });

/** On a page: a browser without a decoder for VP9 says so in what it offers and answers. */
function withoutVp9() {
  const stripped = (section) => {
    const types = [...section.matchAll(/^a=rtpmap:(\d+) VP9\//gm)].map(([, type]) => type);
    for (const [, type, of] of section.matchAll(/^a=fmtp:(\d+) apt=(\d+)/gm)) if (types.includes(of)) types.push(type);
    const isOfThem = (line) => types.includes(/^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line)?.[1]);
    const [first, ...rest] = section.split('\r\n');
    const words = first.split(' ');
    const kept = [...words.slice(0, 3), ...words.slice(3).filter((type) => !types.includes(type))];
    return [kept.join(' '), ...rest.filter((line) => !isOfThem(line))].join('\r\n');
  };
  for (const name of ['createOffer', 'createAnswer']) {
    const original = RTCPeerConnection.prototype[name];
    RTCPeerConnection.prototype[name] = async function (...options) {
      const { type, sdp } = await original.apply(this, options);
      const sections = sdp.split(/(?=^m=)/m);
      return { type, sdp: sections.map((section) => (section.startsWith('m=video') ? stripped(section) : section)).join('') };
    };
  }
}

/** Has a page note what its publisher is told that is wanted: of each codec, how many layers. */
const noteWanted = (tab) =>
  tab.evaluate(() => {
    window.seen.wanted = [];
    window.room.engine.on('subscribedQualityUpdate', ({ subscribedCodecs }) => {
      const layers = ({ codec, qualities }) => [codec, qualities.filter((quality) => quality.enabled).length];
      window.seen.wanted.push(Object.fromEntries(subscribedCodecs.map(layers)));
    });
  });

const wanted = (tab) => tab.evaluate(() => window.seen.wanted);

const shownFrames = (tab) => tab.evaluate(() => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0);

async function moves(tab, who) {
  const before = await shownFrames(tab);
  await until(async () => (await shownFrames(tab)) > before + 20, `${who} seeing a moving picture`, 30);
}

/** `BackupCodecPolicy.SIMULCAST` of the client. */
const BOTH_CODECS = 1;

for (const [by, options] of CONNECTIONS)
  test(`who cannot decode VP9 gets VP8 ${by}, and others go on with VP9`, async () => {
    const room = `backup codec ${by}`;
    const [ada, carol] = await Promise.all([join_('ada', room, options), join_('carol', room, options)]);
    await noteWanted(ada);
    await publishColour(ada, '#e00000', { videoCodec: 'vp9', backupCodec: { codec: 'vp8' }, backupCodecPolicy: BOTH_CODECS });
    await moves(carol, 'carol');
    assert.equal(await receivedCodec(carol), 'video/VP9');
    assert.ok((await wanted(ada)).every((codecs) => !('vp8' in codecs)), 'nobody needs another codec');
    const bob = await join_('bob', room, options, withoutVp9);
    await until(async () => (await wanted(ada)).some((codecs) => codecs.vp8 > 0), 'the publisher being asked for VP8');
    await Promise.all([moves(bob, 'bob'), moves(carol, 'carol')]);
    assert.deepEqual([await receivedCodec(bob), await receivedCodec(carol)], ['video/VP8', 'video/VP9']);
    const tracks = await carol.evaluate(() => [...window.room.remoteParticipants.values()].map((one) => one.trackPublications.size));
    assert.deepEqual(tracks.sort(), [0, 1], 'it is one track');
    await leave(bob);
    await until(async () => (await wanted(ada)).at(-1).vp8 === 0, 'the publisher being told that VP8 is not wanted any more');
    // Whoever comes then gets it by what is negotiated already.
    const dora = await join_('dora', room, options, withoutVp9);
    await Promise.all([moves(dora, 'dora'), moves(carol, 'carol')]);
    assert.equal(await receivedCodec(dora), 'video/VP8');
    await Promise.all([leave(ada), leave(carol), leave(dora)]);
  });

test('by default few people all get the codec that everybody can decode', async () => {
  const room = 'one codec for all';
  const [ada, carol] = await Promise.all([join_('ada', room), join_('carol', room)]);
  await noteWanted(ada);
  await publishColour(ada, '#e00000', { videoCodec: 'vp9' });
  await moves(carol, 'carol');
  assert.equal(await receivedCodec(carol), 'video/VP9');
  const bob = await join_('bob', room, {}, withoutVp9);
  await moves(bob, 'bob');
  await until(async () => (await receivedCodec(carol)) === 'video/VP8', 'carol going on in VP8');
  await until(async () => (await wanted(ada)).at(-1).vp9 === 0, 'the publisher being told to stop VP9');
  await Promise.all([moves(bob, 'bob'), moves(carol, 'carol')]);
  await Promise.all([leave(ada), leave(bob), leave(carol)]);
});

test('a recording goes on in the codec that everybody can decode', async () => {
  const room = 'recorded in two codecs';
  const ada = await join_('ada', room);
  await noteWanted(ada);
  await publishColour(ada, '#e00000', { videoCodec: 'vp9' });
  const { name } = await record('start', room);
  await seconds(4);
  const bob = await join_('bob', room, {}, withoutVp9);
  await moves(bob, 'bob');
  await until(async () => (await wanted(ada)).at(-1).vp9 === 0, 'the publisher being told to stop VP9');
  await seconds(3);
  await record('stop', room);
  const file = await downloaded(name);
  decodeAll(file);
  const { left, right } = halves(file);
  // Whoever comes to share the picture, one half stays hers, but for a moment between the codecs and one at the beginning.
  const shown = [left, right].map((tile) => tile.filter(isRed).length / tile.length);
  assert.ok(Math.max(...shown) > 0.85, `the camera is seen for ${shown} of the film`);
  await Promise.all([leave(ada), leave(bob)]);
});

/** What happens to somebody while they are recorded, and the colour of their camera from then on. */
const WEATHER = [
  ['nothing', '#e00000', async () => {}],
  [
    'their best layer ends',
    '#00c000',
    (tab) =>
      tab.evaluate(async () => {
        const { sender } = window.room.localParticipant.getTrackPublication(window.LivekitClient.Track.Source.Camera).track;
        const parameters = sender.getParameters();
        parameters.encodings.at(-1).active = false;
        await sender.setParameters(parameters);
      }),
  ],
  ['their signalling breaks off', '#0000e0', (tab) => reconnected(tab, 'signal-reconnect')],
  ['they have to connect anew', '#d0d000', (tab) => reconnected(tab, 'full-reconnect')],
  [
    'their camera comes again, larger and in another codec',
    '#d000d0',
    (tab) =>
      tab.evaluate(async () => {
        const local = window.room.localParticipant;
        const { track } = local.getTrackPublication(window.LivekitClient.Track.Source.Camera);
        const { Camera } = window.LivekitClient.Track.Source;
        await local.unpublishTrack(track, false);
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [960, 540];
        const context = canvas.getContext('2d');
        setInterval(() => {
          context.fillStyle = window.fill;
          context.fillRect(0, 0, 960, 540);
        }, 60);
        await local.publishTrack(canvas.captureStream(15).getVideoTracks()[0], { source: Camera, videoCodec: 'h264', simulcast: false });
      }),
  ],
];

async function reconnected(tab, scenario) {
  await tab.evaluate(async (name) => {
    const { RoomEvent } = window.LivekitClient;
    const back = new Promise((resolve) => window.room.once(RoomEvent.Reconnected, resolve));
    await window.room.simulateScenario(name);
    await back;
  }, scenario);
}

test('a recording goes on whatever happens to those in the call', async () => {
  const room = 'weather';
  const ada = await join_('ada', room);
  await publishColour(ada, WEATHER[0][1], { videoCodec: 'vp8', simulcast: true });
  await until(async () => (await sending(ada)).length === 2, 'both layers being sent', 30);
  const { name } = await record('start', room);
  const began = Date.now();
  for (const [what, colour, happens] of WEATHER) {
    await happens(ada);
    await setColour(ada, colour);
    await seconds(3);
    process.env.LOG && console.log(what, (Date.now() - began) / 1000);
  }
  const took = (Date.now() - began) / 1000;
  await record('stop', room);
  const file = await downloaded(name);
  const { duration } = probe(file);
  assert.ok(Math.abs(duration - took) < 1, `${took} s were recorded as ${duration}`);
  decodeAll(file);
  const { left, right } = halves(file);
  const wanted = WEATHER.map(([what, hex]) => [what, [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16))]);
  const shows = (rgb) => ([, colour]) => colour.every((value, channel) => Math.abs(value - rgb[channel]) < 70);
  // Each half of the picture is of the one camera, whoever else there is none.
  for (const half of [left, right]) {
    const stages = half.map((rgb) => wanted.findIndex(shows(rgb)));
    const known = stages.filter((stage) => stage >= 0);
    assert.deepEqual(known, known.toSorted((a, b) => a - b), 'one after the other');
    for (const [stage, [what]] of wanted.entries()) {
      const shown = known.filter((one) => one === stage).length / 50;
      assert.ok(shown > 1.9, `three seconds after this are seen for ${shown} s: ${what}`);
    }
    assert.ok(stages.length - known.length < 2.5 * 50, `${stages.length - known.length} pictures show nobody`);
  }
  await leave(ada);
});

test('who makes a sound is an active speaker', async () => {
  const [ada, bob] = await Promise.all([join_('ada', 'speakers'), join_('bob', 'speakers')]);
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const speakers = () => bob.evaluate(() => window.room.activeSpeakers.map((speaker) => speaker.identity));
  await ada.evaluate((options) => window.room.localParticipant.setMicrophoneEnabled(true, options), plain);
  await until(async () => (await speakers()).includes('ada'), 'ada being heard');
  assert.ok((await bob.evaluate(() => window.room.activeSpeakers[0].audioLevel)) > 0.05);
  await ada.evaluate(() => window.room.localParticipant.setMicrophoneEnabled(false));
  await until(async () => (await speakers()).length === 0, 'ada being silent');
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

for (const [by, options] of CONNECTIONS)
  test(`who subscribes again, or to another, gets the picture ${by}`, async () => {
    const room = `again ${by}`;
    const [ada, bob] = await Promise.all([join_('ada', room, options), join_('bob', room, options)]);
    await publish(ada);
    await until(async () => (await playing(bob)).length === 1, 'the picture');
    for (const subscribed of [false, true, false, true]) {
      await bob.evaluate((wanted) => {
        for (const participant of window.room.remoteParticipants.values())
          for (const publication of participant.trackPublications.values()) publication.setSubscribed(wanted);
      }, subscribed);
      await until(async () => (await playing(bob)).length === Number(subscribed), `subscribed: ${subscribed}`);
    }
    await leave(ada);
    await until(async () => (await playing(bob)).length === 0, 'ada being gone');
    const carol = await join_('carol', room, options);
    await publish(carol);
    await until(async () => (await playing(bob)).length === 1, 'carol');
    const heard = () =>
      bob.evaluate(async () => {
        const [publication] = window.room.remoteParticipants.values().next().value.audioTrackPublications.values();
        const stats = await publication?.track?.receiver.getStats();
        return [...(stats?.values() ?? [])].some((one) => one.type === 'inbound-rtp' && one.totalAudioEnergy > 0);
      });
    await until(heard, 'carol being heard');
    await Promise.all([leave(bob), leave(carol)]);
  });

for (const [by, options] of CONNECTIONS)
  test(`signalling that breaks off is taken up again ${by}, and nobody else sees anything of it`, async () => {
    const room = `resumed ${by}`;
    const [ada, bob] = await Promise.all([join_('ada', room, options), join_('bob', room, options)]);
    await publish(ada);
    await until(async () => (await playing(bob)).length === 1, 'the picture');
    await bob.evaluate(() => {
      const { ParticipantConnected, ParticipantDisconnected, TrackUnpublished, TrackUnsubscribed } = window.LivekitClient.RoomEvent;
      window.seen.changes = [];
      for (const event of [ParticipantConnected, ParticipantDisconnected, TrackUnpublished, TrackUnsubscribed])
        window.room.on(event, () => window.seen.changes.push(event));
    });
    const sids = () => Promise.all([ada, bob].map((tab) => tab.evaluate(() => window.room.localParticipant.sid)));
    const before = await sids();
    const shown = () => bob.evaluate(() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames);
    for (const tab of [ada, bob]) {
      await reconnected(tab, 'signal-reconnect');
      const frames = await shown();
      await until(async () => (await shown()) > frames + 10, 'the picture going on');
    }
    assert.deepEqual(await sids(), before, 'the sessions are the same');
    await ada.evaluate(() => window.room.localParticipant.publishData(new TextEncoder().encode('I am back'), { reliable: true }));
    await until(() => bob.evaluate(() => window.seen.data.includes('I am back')), 'what she says');
    assert.deepEqual(await bob.evaluate(() => window.seen.changes), []);
    // What comes from then on is negotiated as before.
    await publishColour(ada, '#00c000', { source: 'screen_share', simulcast: false });
    await until(async () => (await playing(bob)).length === 2, 'what was published afterwards', 30);
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
