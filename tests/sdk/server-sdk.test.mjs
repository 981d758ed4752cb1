// The stock npm livekit-server-sdk (JSON over Twirp) against the media server, with a stock client in the room.

import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  AccessToken,
  DataPacket_Kind,
  EgressClient,
  EgressStatus,
  EncodedFileOutput,
  RoomServiceClient,
  WebhookReceiver,
} from 'livekit-server-sdk';
import { KEY, Reelroom, SECRET, browser, until } from '../harness.mjs';

const clientScript = join(dirname(createRequire(import.meta.url).resolve('livekit-client')), 'livekit-client.umd.js');

let media;
let site;
let chrome;
let rooms;
let egress;
const hooks = [];

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

before(async () => {
  const receiver = new WebhookReceiver(KEY, SECRET);
  site = createServer(async (request, response) => {
    if (request.url === '/hook') {
      const text = await body(request);
      hooks.push(await receiver.receive(text, request.headers.authorization).catch((error) => error));
      response.end();
    } else if (request.url === '/client.js') {
      response.setHeader('content-type', 'text/javascript');
      createReadStream(clientScript).pipe(response);
    } else {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><title>stock client</title><script src="/client.js"></script>');
    }
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  const hook = `http://127.0.0.1:${site.address().port}/hook`;
  media = await Reelroom.start(['media'], { WEBHOOK_URLS: hook });
  rooms = new RoomServiceClient(media.url, KEY, SECRET);
  egress = new EgressClient(media.url, KEY, SECRET);
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  await media?.stop();
  site?.close();
  assert.deepEqual(hooks.filter((hook) => hook instanceof Error), []);
});

/** A tab in a call, with camera and microphone on; what it is told is in its `told`. */
async function joined(identity, room) {
  const token = new AccessToken(KEY, SECRET, { identity, name: identity });
  token.addGrant({ roomJoin: true, room });
  const context = await chrome.newContext({ permissions: ['camera', 'microphone'] });
  const tab = await context.newPage();
  await tab.goto(`http://localhost:${site.address().port}/`);
  await tab.evaluate(
    async ([url, jwt]) => {
      const { Room, RoomEvent } = window.LivekitClient;
      window.room = new Room();
      window.told = [];
      const tell = (event, note) => window.room.on(event, (...given) => window.told.push(note(...given)));
      tell(RoomEvent.DataReceived, (bytes, _participant, _kind, topic) => `data ${new TextDecoder().decode(bytes)} ${topic}`);
      tell(RoomEvent.RoomMetadataChanged, (metadata) => `metadata ${metadata}`);
      tell(RoomEvent.ParticipantNameChanged, (name) => `name ${name}`);
      tell(RoomEvent.TrackMuted, (publication) => `muted ${publication.trackSid}`);
      tell(RoomEvent.RecordingStatusChanged, (recording) => `recording ${recording}`);
      tell(RoomEvent.Disconnected, (reason) => `disconnected ${reason}`);
      await window.room.connect(url, jwt);
      await window.room.localParticipant.enableCameraAndMicrophone();
    },
    [media.url.replace('http', 'ws'), await token.toJwt()],
  );
  return {
    tab,
    told: (what) => until(() => tab.evaluate((what) => window.told.includes(what), what), `${identity} being told "${what}"`),
    leave: () => tab.evaluate(() => window.room.disconnect()),
  };
}

const refused = async (call, status, code) => {
  const error = await call.then(() => assert.fail('it was not refused'), (error) => error);
  assert.deepEqual([error.status, error.code], [status, code], String(error));
};

test('rooms are created, listed, changed and deleted', async () => {
  const room = await rooms.createRoom({ name: 'node', emptyTimeout: 60, maxParticipants: 5, metadata: 'm' });
  assert.match(room.sid, /^RM_/);
  assert.deepEqual([room.name, room.emptyTimeout, room.maxParticipants, room.metadata], ['node', 60, 5, 'm']);
  assert.ok(room.creationTime > 1_600_000_000n);
  assert.deepEqual((await rooms.listRooms(['node'])).map((found) => found.sid), [room.sid]);
  assert.equal((await rooms.updateRoomMetadata('node', 'changed')).metadata, 'changed');
  assert.deepEqual(await rooms.listParticipants('node'), []);
  await rooms.deleteRoom('node');
  assert.deepEqual(await rooms.listRooms(['node']), []);
  await refused(rooms.deleteRoom('node'), 404, 'not_found');
  await refused(rooms.getParticipant('node', 'nobody'), 404, 'not_found');
});

test('a participant is listed, told, muted, updated, unsubscribed and removed', async () => {
  const ada = await joined('ada', 'people');
  const bob = await joined('bob', 'people');
  const published = async () => (await rooms.getParticipant('people', 'ada')).tracks.length === 2;
  await until(published, 'both tracks being published');
  const people = await rooms.listParticipants('people');
  assert.deepEqual(people.map((person) => person.identity).sort(), ['ada', 'bob']);

  await rooms.sendData('people', new TextEncoder().encode('hello'), DataPacket_Kind.RELIABLE, { topic: 'chat' });
  await Promise.all([ada.told('data hello chat'), bob.told('data hello chat')]);
  await rooms.updateRoomMetadata('people', 'agenda');
  await bob.told('metadata agenda');
  const renamed = await rooms.updateParticipant('people', 'ada', { name: 'Countess', attributes: { hand: 'raised' } });
  assert.deepEqual([renamed.name, renamed.attributes.hand], ['Countess', 'raised']);
  await bob.told('name Countess');

  const { tracks } = await rooms.getParticipant('people', 'ada');
  const video = tracks.find((track) => track.mimeType.toLowerCase().startsWith('video/'));
  const audio = tracks.find((track) => track.mimeType.toLowerCase().startsWith('audio/'));
  const muted = await rooms.mutePublishedTrack('people', 'ada', audio.sid, true);
  assert.deepEqual([muted.sid, muted.muted], [audio.sid, true]);
  await bob.told(`muted ${audio.sid}`);
  await refused(rooms.mutePublishedTrack('people', 'ada', audio.sid, false), 412, 'failed_precondition');

  const watched = () =>
    bob.tab.evaluate(() => {
      const [participant] = window.room.remoteParticipants.values();
      return [...participant.videoTrackPublications.values()].some((publication) => publication.track !== undefined);
    });
  await until(watched, 'bob seeing ada');
  await rooms.updateSubscriptions('people', 'bob', [video.sid], false);
  await until(async () => !(await watched()), 'bob not seeing ada');
  await rooms.updateSubscriptions('people', 'bob', [video.sid], true);
  await until(watched, 'bob seeing ada again');

  await rooms.removeParticipant('people', 'ada');
  await ada.told('disconnected 4');
  await rooms.deleteRoom('people');
  await bob.told('disconnected 5');
  const named = (event) => hooks.filter((hook) => hook.room?.name === 'people' && hook.event === event);
  await until(() => named('room_finished').length === 1, 'the webhook of the end');
  assert.deepEqual(named('participant_joined').map((hook) => hook.participant.identity), ['ada', 'bob']);
  assert.equal(named('track_published').length, 4);
});

test('Twirp over JSON is lenient in what it takes and exact in how it refuses', async () => {
  const token = new AccessToken(KEY, SECRET, { identity: 'admin' });
  token.addGrant({ roomCreate: true, roomList: true });
  const authorization = `Bearer ${await token.toJwt()}`;
  const call = (method, text, headers = {}) =>
    fetch(`${media.url}/twirp/livekit.RoomService/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=UTF-8', authorization, ...headers },
      body: text,
    });
  const created = await call('CreateRoom', '{"name":"lenient","empty_timeout":"42","not_invented_yet":{"a":[1]}}');
  assert.equal(created.status, 200);
  const room = await created.json();
  assert.equal(room.emptyTimeout ?? room.empty_timeout, 42);
  const listed = await (await call('ListRooms', '{"names":["lenient"]}')).json();
  assert.equal(listed.rooms.length, 1);
  for (const [method, text, headers, status, code] of [
    ['CreateRoom', '{"name":', {}, 400, 'malformed'],
    ['CreateRoom', '{}', {}, 400, 'invalid_argument'],
    ['NoSuchMethod', '{}', {}, 404, 'bad_route'],
    ['ListRooms', '{}', { 'content-type': 'text/plain' }, 404, 'bad_route'],
    ['ListParticipants', '{"room":"lenient"}', {}, 401, 'unauthenticated'],
  ]) {
    const answer = await call(method, text, headers);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [status, 'application/json'], `${method} ${text}`);
    assert.equal((await answer.json()).code, code, `${method} ${text}`);
  }
  await rooms.deleteRoom('lenient');
});

test('a page of any origin may ask', async () => {
  const preflight = await fetch(`${media.url}/twirp/livekit.RoomService/ListRooms`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://example.org',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });
  assert.ok(preflight.ok);
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://example.org');
  const validated = await fetch(`${media.url}/rtc/validate?access_token=nonsense`, { headers: { origin: 'https://example.org' } });
  assert.equal(validated.status, 401);
  assert.ok(validated.headers.get('access-control-allow-origin'));
});

test('a call is recorded', async () => {
  const ada = await joined('ada', 'recorded');
  const output = new EncodedFileOutput({ filepath: 'recordings/{room_name}-{room_id}-{time}' });
  const started = await egress.startRoomCompositeEgress('recorded', { file: output }, { layout: 'grid' });
  assert.match(started.egressId, /^EG_/);
  assert.deepEqual([started.request.case, started.request.value.layout], ['roomComposite', 'grid']);
  assert.match(started.fileResults[0].filename, /^recordings\/recorded-RM_.*\.mp4$/);
  await ada.told('recording true');
  const now = async () => (await egress.listEgress({ egressId: started.egressId }))[0];
  await until(async () => (await now()).status === EgressStatus.EGRESS_ACTIVE, 'the recording being active');
  assert.equal((await egress.listEgress({ roomName: 'recorded', active: true })).length, 1);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  assert.equal((await egress.stopEgress(started.egressId)).status, EgressStatus.EGRESS_ENDING);
  await ada.told('recording false');
  await until(async () => (await now()).status === EgressStatus.EGRESS_COMPLETE, 'the file', 60);
  const [file] = (await now()).fileResults;
  assert.ok(file.size > 10_000n && file.duration > 1_000_000_000n, String(file.toJsonString()));
  await refused(egress.stopEgress(started.egressId), 412, 'failed_precondition');
  assert.equal((await egress.listEgress({ roomName: 'recorded', active: true })).length, 0);
  const told = () => hooks.filter((hook) => hook.egressInfo?.egressId === started.egressId).map((hook) => hook.event);
  await until(() => told().at(-1) === 'egress_ended', 'the webhook of the end');
  assert.equal(told()[0], 'egress_started');
  await ada.leave();
});

test('what cannot be recorded is refused', async () => {
  const output = { file: new EncodedFileOutput({ filepath: 'x' }) };
  await refused(egress.startRoomCompositeEgress('nowhere', output), 404, 'not_found');
  await refused(egress.stopEgress('EG_none'), 404, 'not_found');
});
