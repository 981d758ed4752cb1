// A call between devices that have nothing of the server but its address; scripts/test-two-devices makes them. Firefox sets the server up by the
// owner's link and makes a room, Chromium comes by that room's link: both after the one warning of a certificate that nobody vouches for.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { decodeAll, halves, tone } from '../browser/film.mjs';
import { FIREFOX_HZ, FirefoxPerson } from '../browser/firefox-person.mjs';
import { BLUE, becomeOwner, isBlue, joinBy, Person } from '../browser/people.mjs';
import { temporaryFolder, until } from '../harness.mjs';

const LINK = process.env.OWNER_LINK;
const SITE = new URL(LINK).origin;
const PASSWORD = 'correct horse battery';
const ROOM = 'At the next desk';
const JSON_TYPE = { 'content-type': 'application/json' };
// Those who press "Advanced" have read the warning; what it says is looked at below.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The certificate that a device is shown. */
const certificate = () =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(SITE);
    const socket = connect({ host: hostname, port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.end();
    });
    socket.on('error', reject);
  });

test('the certificate is for the address that is typed, and has the fingerprint that was printed', async () => {
  const { hostname } = new URL(SITE);
  assert.equal(hostname, '10.78.0.1');
  const shown = await certificate();
  assert.equal(shown.fingerprint256, process.env.FINGERPRINT.trim());
  assert.equal(shown.checkIP(hostname), hostname);
  const days = (new Date(shown.validTo) - new Date(shown.validFrom)) / 86_400_000;
  assert.ok(days <= 398, `it is valid for ${days} days`);
});

test('without https a device is sent to it, and is told no more', async () => {
  const plain = SITE.replace('https:', 'http:');
  const page = await fetch(`${plain}/owner`, { redirect: 'manual', headers: { accept: 'text/html' } });
  assert.deepEqual([page.status, page.headers.get('location')], [308, `${SITE}/owner`]);
  const call = await fetch(`${plain}/owner/session`, { method: 'POST', headers: JSON_TYPE, body: '{}' });
  assert.equal(call.status, 426);
});

test('Firefox and Chromium on another device set it up, call, record and play', { timeout: 240_000 }, async (t) => {
  const [ada, bob] = await Promise.all([FirefoxPerson.arrive(), Person.arrive(BLUE)]);
  await becomeOwner(ada, { ownerLink: async () => LINK }, PASSWORD);
  const signedIn = await fetch(`${SITE}/owner/session`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ password: PASSWORD }),
  });
  assert.equal(signedIn.status, 200);
  const kept = signedIn.headers.getSetCookie();
  assert.ok(kept.every((line) => line.startsWith('__Host-') && line.includes('Secure')), kept.join('\n'));
  const owner = {
    ...JSON_TYPE,
    cookie: kept.map((line) => line.split(';')[0]).join('; '),
    'x-csrf-token': (await signedIn.json()).csrf,
  };
  const asOwner = async (method, path, body) => {
    const answer = await fetch(SITE + path, { method, headers: owner, ...(body ? { body: JSON.stringify(body) } : {}) });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
    return answer.json();
  };
  const made = await asOwner('POST', '/rooms', { name: ROOM });
  const invited = (role) => SITE + made.links.find((link) => link.role === role).path;
  await joinBy(ada, invited('host'), 'Ada');
  await joinBy(bob, invited('guest'), 'Bob');
  // A camera is given to a page in a secure context alone, and media flows from one device to the other.
  assert.equal(await bob.page.evaluate(() => window.isSecureContext), true);
  await Promise.all([ada.seesColour('Bob', isBlue), bob.hears(FIREFOX_HZ)]);

  await ada.press('Start Recording');
  await bob.reads('Room is being recorded');
  await sleep(4000);
  await ada.press('Stop Recording');
  const listed = async () => (await asOwner('GET', `/recordings?roomName=${encodeURIComponent(ROOM)}`)).recordings[0];
  const recording = await until(async () => ((await listed())?.status === 'complete' ? listed() : false), 'the file', 90);
  const answer = await fetch(`${SITE}/recordings/${encodeURIComponent(recording.name)}`, { headers: owner });
  assert.equal(answer.status, 200);
  const file = join(temporaryFolder(), 'film.mp4');
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  decodeAll(file);
  const sides = halves(file);
  const blues = ['left', 'right'].map((side) => sides[side].filter(isBlue).length / sides[side].length);
  assert.ok(Math.max(...blues) > 0.6, `blue is seen ${blues} of the time`);
  const heard = tone(file, FIREFOX_HZ).filter((strength) => strength > 0.02).length / 100;
  t.diagnostic(`${recording.duration} s, ${recording.size} bytes; Firefox's tone is heard for ${heard.toFixed(1)} s`);
  assert.ok(heard > 2, `Firefox is heard for ${heard} s`);

  // It plays in a browser of that device, by HTTP/2, from the middle too.
  const { recordingUrl } = await asOwner('GET', `/recordings/${encodeURIComponent(recording.name)}/url`);
  const played = await bob.page.evaluate(async (url) => {
    const video = document.createElement('video');
    video.muted = true;
    video.src = url;
    document.body.append(video);
    await video.play();
    video.currentTime = video.duration / 2;
    await new Promise((resolve) => video.addEventListener('seeked', resolve, { once: true }));
    const [entry] = performance.getEntriesByType('navigation');
    return { width: video.videoWidth, protocol: entry.nextHopProtocol };
  }, new URL(recordingUrl, SITE).href);
  assert.ok(played.width > 0);
  assert.equal(played.protocol, 'h2');
  assert.deepEqual(bob.problems, []);
  await Promise.all([ada.leave(), bob.leave()]);
});
