// A media server, a receiver of its webhooks, and stock clients in browser tabs: what the SDK tests work on.

import assert from 'node:assert/strict';
import { AccessToken, WebhookReceiver } from 'livekit-server-sdk';
import { ClientSite, KEY, Reelroom, SECRET, browser, until } from '../harness.mjs';

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** `url` is the media server's; `hooks` are the webhooks so far, verified, or the errors of their verification. */
export class Stage {
  static async start() {
    const stage = new Stage();
    const receiver = new WebhookReceiver(KEY, SECRET);
    stage.hooks = [];
    stage.site = await ClientSite.start(async (request, response) => {
      if (request.url !== '/hook') return false;
      const body = await text(request);
      stage.hooks.push(await receiver.receive(body, request.headers.authorization).catch((error) => error));
      response.end();
      return true;
    });
    const hook = `${stage.site.url.replace('localhost', '127.0.0.1')}hook`;
    stage.media = await Reelroom.start(['media'], { WEBHOOK_URLS: hook });
    stage.url = stage.media.url;
    stage.chrome = await browser();
    return stage;
  }

  async stop() {
    await this.chrome.close();
    await this.media.stop();
    this.site.stop();
    assert.deepEqual(this.hooks.filter((hook) => hook instanceof Error), []);
  }

  /** A tab in a call, with camera and microphone on; what it is told can be waited for. */
  async join(identity, room) {
    const token = new AccessToken(KEY, SECRET, { identity, name: identity });
    token.addGrant({ roomJoin: true, room });
    const context = await this.chrome.newContext({ permissions: ['camera', 'microphone'] });
    const tab = await context.newPage();
    await tab.goto(this.site.url);
    await tab.evaluate(
      async ([url, jwt]) => {
        const { Room, RoomEvent } = window.LivekitClient;
        window.room = new Room();
        window.told = [];
        const tell = (event, note) => window.room.on(event, (...given) => window.told.push(note(...given)));
        tell(RoomEvent.DataReceived, (bytes, _from, _kind, topic) => `data ${new TextDecoder().decode(bytes)} ${topic}`);
        tell(RoomEvent.RoomMetadataChanged, (metadata) => `metadata ${metadata}`);
        tell(RoomEvent.ParticipantNameChanged, (name) => `name ${name}`);
        tell(RoomEvent.TrackMuted, (publication) => `muted ${publication.trackSid}`);
        tell(RoomEvent.RecordingStatusChanged, (recording) => `recording ${recording}`);
        tell(RoomEvent.Disconnected, (reason) => `disconnected ${reason}`);
        await window.room.connect(url, jwt);
        await window.room.localParticipant.enableCameraAndMicrophone();
      },
      [this.url.replace('http', 'ws'), await token.toJwt()],
    );
    const isTold = (what) => tab.evaluate((what) => window.told.includes(what), what);
    return {
      tab,
      told: (what) => until(() => isTold(what), `${identity} being told "${what}"`),
      leave: () => tab.evaluate(() => window.room.disconnect()),
    };
  }
}

/** Checks that a call of a server SDK is refused with an HTTP status and a Twirp code. */
export async function refused(call, status, code) {
  const error = await call.then(() => assert.fail('it was not refused'), (error) => error);
  assert.deepEqual([error.status, error.code], [status, code], String(error));
}
