// A call between browsers and a server of which nothing can be reached but TCP port 443; scripts/test-only-443 makes that network. Firefox and
// Chromium see and hear each other by whatever way they find, and once more by TURN alone.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { FIREFOX_HZ, FirefoxPerson } from '../browser/firefox-person.mjs';
import { BLUE, isBlue, Person } from '../browser/people.mjs';
import { until } from '../harness.mjs';

const { SITE } = process.env;
const HOST = new URL(SITE).hostname;

/** In a page, before anything of it runs: connections go by that way, and are kept to be asked. */
const watchConnections = (policy) => {
  const Own = window.RTCPeerConnection;
  window.connections = [];
  window.RTCPeerConnection = class extends Own {
    constructor(config) {
      super({ ...config, iceTransportPolicy: policy });
      window.connections.push(this);
    }

    setConfiguration(config) {
      super.setConfiguration({ ...config, iceTransportPolicy: policy });
    }
  };
};

/** In a page: the pairs of addresses that media flows on, as "type protocol relay-protocol port". */
const waysInUse = async () => {
  const ways = [];
  for (const connection of window.connections.filter((one) => one.connectionState === 'connected')) {
    const stats = await connection.getStats();
    for (const pair of stats.values()) {
      if (pair.type !== 'candidate-pair' || pair.state !== 'succeeded' || !(pair.nominated || pair.selected)) continue;
      const [local, remote] = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
      ways.push(`${local.candidateType} ${local.protocol} ${local.relayProtocol ?? ''} ${remote.port}`);
    }
  }
  return ways;
};

const reaches = (port) =>
  new Promise((resolve) => {
    const socket = connect({ host: HOST, port, timeout: 1500 }, () => resolve(true));
    socket.on('timeout', () => resolve(false));
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    setTimeout(() => socket.destroy(), 2000);
  });

test('nothing but port 443 can be reached', async () => {
  assert.deepEqual(await Promise.all([443, 7882, 80].map(reaches)), [true, false, false]);
});

for (const [policy, what, isMeant] of [
  ['all', 'whatever way there is', (way) => /^(relay|.* tcp .* 443$)/.test(way)],
  ['relay', 'TURN alone', (way) => way.startsWith('relay')],
]) {
  test(`Firefox and Chromium call by ${what}`, { timeout: 180_000 }, async (t) => {
    const [ada, bob] = await Promise.all([FirefoxPerson.arrive(), Person.arrive(BLUE)]);
    await ada.page.evaluateOnNewDocument(watchConnections, policy);
    await bob.page.addInitScript(watchConnections, policy);
    const began = Date.now();
    await Promise.all([ada.join(SITE, policy, 'Ada'), bob.join(SITE, policy, 'Bob')]);
    await Promise.all([ada.seesColour('Bob', isBlue), bob.hears(FIREFOX_HZ)]);
    const seconds = (Date.now() - began) / 1000;
    for (const [name, person] of [
      ['Firefox', ada],
      ['Chromium', bob],
    ]) {
      const ways = await until(async () => {
        const found = await person.page.evaluate(waysInUse);
        return found.length > 0 ? found : false;
      }, `the ways that ${name} uses`);
      t.diagnostic(`${name}: ${ways.join(', ')}; seen and heard after ${seconds.toFixed(1)} s`);
      assert.ok(ways.every(isMeant), `${name} uses ${ways.join(', ')}`);
    }
    // It holds.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await Promise.all([ada.seesColour('Bob', isBlue), bob.hears(FIREFOX_HZ)]);
    assert.deepEqual(bob.problems, []);
    await Promise.all([ada.leave(), bob.leave()]);
  });
}
