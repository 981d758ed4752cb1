// The Egress API through the stock npm livekit-server-sdk, with a stock client in the room.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EgressClient, EgressStatus, EncodedFileOutput } from 'livekit-server-sdk';
import { KEY, SECRET, until } from '../harness.mjs';
import { Stage, refused } from './stage.mjs';

let stage;
let egress;

before(async () => {
  stage = await Stage.start();
  egress = new EgressClient(stage.url, KEY, SECRET);
});

after(() => stage?.stop());

test('a call is recorded', async () => {
  const ada = await stage.join('ada', 'recorded');
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
  const told = () => stage.hooks.filter((hook) => hook.egressInfo?.egressId === started.egressId).map((hook) => hook.event);
  await until(() => told().at(-1) === 'egress_ended', 'the webhook of the end');
  assert.equal(told()[0], 'egress_started');
  await ada.leave();
});

test('what cannot be recorded is refused', async () => {
  const output = { file: new EncodedFileOutput({ filepath: 'x' }) };
  await refused(egress.startRoomCompositeEgress('nowhere', output), 404, 'not_found');
  await refused(egress.stopEgress('EG_none'), 404, 'not_found');
});
