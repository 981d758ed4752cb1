// The stock npm livekit-server-sdk (JSON over Twirp) against the media server, with stock clients in the room.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AccessToken, DataPacket_Kind, IngressClient, RoomServiceClient, SipClient } from 'livekit-server-sdk';
import { KEY, SECRET, until } from '../harness.mjs';
import { Stage, refused } from './stage.mjs';

let stage;
let rooms;

before(async () => {
  stage = await Stage.start();
  rooms = new RoomServiceClient(stage.url, KEY, SECRET);
});

after(() => stage?.stop());

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
  const ada = await stage.join('ada', 'people');
  const bob = await stage.join('bob', 'people');
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
  const named = (event) => stage.hooks.filter((hook) => hook.room?.name === 'people' && hook.event === event);
  await until(() => named('room_finished').length === 1, 'the webhook of the end');
  assert.deepEqual(named('participant_joined').map((hook) => hook.participant.identity), ['ada', 'bob']);
  assert.equal(named('track_published').length, 4);
});

test('Twirp over JSON is lenient in what it takes and exact in how it refuses', async () => {
  const token = new AccessToken(KEY, SECRET, { identity: 'admin' });
  token.addGrant({ roomCreate: true, roomList: true });
  const authorization = `Bearer ${await token.toJwt()}`;
  const call = (method, text, headers = {}) =>
    fetch(`${stage.url}/twirp/livekit.RoomService/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=UTF-8', authorization, ...headers },
      body: text,
    });
  const created = await call('CreateRoom', '{"name":"lenient","empty_timeout":"42","not_invented_yet":{"a":[1]}}');
  assert.equal(created.status, 200);
  const room = await created.json();
  assert.equal(room.empty_timeout, 42);
  assert.deepEqual([room.num_participants, room.active_recording, room.metadata], [0, false, ''], 'defaults are written');
  assert.match(room.creation_time, /^\d{10}$/, 'what may be longer than a float holds is a text');
  const listed = await (await call('ListRooms', '{"names":["lenient"]}')).json();
  assert.equal(listed.rooms.length, 1);
  for (const [method, text, headers, status, code] of [
    ['CreateRoom', '{"name":', {}, 400, 'malformed'],
    ['CreateRoom', '{}', {}, 400, 'invalid_argument'],
    ['CreateRoom', '{"name":"lenient","room_preset":"of another server"}', {}, 400, 'invalid_argument'],
    ['NoSuchMethod', '{}', {}, 404, 'bad_route'],
    ['ListRooms', '{}', { 'content-type': 'text/plain' }, 404, 'bad_route'],
    ['ListParticipants', '{"room":"lenient"}', {}, 401, 'unauthenticated'],
  ]) {
    const answer = await call(method, text, headers);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [status, 'application/json'], `${method} ${text}`);
    assert.equal((await answer.json()).code, code, `${method} ${text}`);
  }
  const twice = await fetch(`${stage.url}//twirp/livekit.RoomService/ListRooms`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body: '{"names":["lenient"],"unknown":null}',
  });
  assert.equal((await twice.json()).rooms[0].name, 'lenient', 'clients put two slashes where the address ends with one');
  await rooms.deleteRoom('lenient');
});

test('a participant answers a call of the server, once and in time', async () => {
  const ada = await stage.join('ada', 'rpc');
  await ada.tab.evaluate(() => {
    window.room.registerRpcMethod('greet', async ({ payload, callerIdentity }) => `hello ${payload}${callerIdentity ? '' : ' of no name'}`);
  });
  const token = new AccessToken(KEY, SECRET, { identity: 'admin' });
  token.addGrant({ roomAdmin: true, room: 'rpc' });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${await token.toJwt()}` };
  const call = async (method, to = 'ada') => {
    const body = JSON.stringify({ room: 'rpc', destinationIdentity: to, method, payload: 'you', responseTimeoutMs: 5000 });
    const answer = await fetch(`${stage.url}/twirp/livekit.RoomService/PerformRpc`, { method: 'POST', headers, body });
    return [answer.status, await answer.json()];
  };
  assert.deepEqual(await call('greet'), [200, { payload: 'hello you' }]);
  const [status, refusal] = await call('nothing of that name');
  assert.deepEqual([status, refusal.code], [400, 'invalid_argument']);
  assert.match(refusal.msg, /^RpcError 1400: /);
  assert.equal((await call('greet', 'nobody'))[0], 404);
  await rooms.deleteRoom('rpc');
});

test('what other services of LiveKit do is not offered, and is told so', async () => {
  await refused(new SipClient(stage.url, KEY, SECRET).listSipInboundTrunk(), 501, 'unimplemented');
  await refused(new IngressClient(stage.url, KEY, SECRET).listIngress(), 501, 'unimplemented');
  await refused(rooms.moveParticipant('a', 'ada', 'b'), 501, 'unimplemented');
  await refused(rooms.forwardParticipant('a', 'ada', 'b'), 501, 'unimplemented');
});

test('a page of this machine may ask, and one of elsewhere may not', async () => {
  for (const [origin, isWelcome] of [['http://localhost:3000', true], ['https://example.org', false]]) {
    const preflight = await fetch(`${stage.url}/twirp/livekit.RoomService/ListRooms`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' },
    });
    const validated = await fetch(`${stage.url}/rtc/validate?access_token=nonsense`, { headers: { origin } });
    assert.deepEqual([preflight.status, validated.status], isWelcome ? [200, 401] : [403, 403]);
    for (const answer of [preflight, validated])
      assert.equal(answer.headers.get('access-control-allow-origin'), isWelcome ? origin : null);
  }
});
