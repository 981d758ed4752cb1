// Certificates of an ACME server that nobody here wrote; scripts/test-acme makes it, and the network in which it finds the server by its name.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { temporaryFolder, until } from '../harness.mjs';

const { FOLDER } = process.env;
const NAME = 'calls.example.org';
const PORT = 5001;
const HTTP_PORT = 5002;
const BINARY = process.env.REELROOM_BIN ?? 'target/debug/reelroom';

/** The program, as somebody sets it up who has that name. */
async function start(data, more = {}) {
  const settings = {
    PATH: process.env.PATH,
    LISTEN: '0.0.0.0',
    PUBLIC_URL: `https://${NAME}`,
    SERVER_PORT: String(PORT),
    UDP_PORT: '0',
    ACME_DIRECTORY: 'https://localhost:14000/dir',
    ACME_CA: join(FOLDER, 'ca.pem'),
    ACME_EMAIL: 'ann@example.org',
    DATA_DIR: data,
    ...more,
  };
  const child = spawn(BINARY, [], { env: settings, stdio: ['ignore', 'pipe', 'pipe'] });
  const server = { child, log: '', out: '' };
  child.stderr.on('data', (text) => {
    server.log += text;
  });
  child.stdout.on('data', (text) => {
    server.out += text;
  });
  process.on('exit', () => child.kill('SIGKILL'));
  await until(async () => {
    assert.equal(child.exitCode, null, server.log);
    return server.out.includes('ready');
  }, 'the server', 30);
  server.stop = async () => {
    child.kill('SIGINT');
    await once(child, 'exit');
    assert.ok(!server.log.includes('ERROR') && !server.log.includes('panicked'), server.log);
    return server.log;
  };
  return server;
}

/** The certificate that whoever comes by the name is shown. */
const shown = () =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: PORT, servername: NAME, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.end();
    });
    socket.on('error', reject);
  });

const isGiven = async () => {
  const certificate = await shown();
  return certificate.checkHost(NAME) && certificate.issuer !== certificate.subject ? certificate : false;
};

/** What it answers by https, with its headers, to somebody who came by port 443 of whatever forwards it. */
const ask = (path) =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: PORT, servername: NAME, path, rejectUnauthorized: false };
    request({ ...options, headers: { host: NAME } }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer));
    })
      .on('error', reject)
      .end();
  });

const kept = (data) => join(data, 'tls/acme/localhost_14000');

for (const [challenge, settings] of [
  ['HTTP-01', { HTTP_PORT: String(HTTP_PORT) }],
  ['TLS-ALPN-01', { HTTP_PORT: '0' }],
]) {
  test(`a certificate is had by ${challenge}, kept, and not ordered again at the next start`, { timeout: 120_000 }, async () => {
    const data = temporaryFolder();
    let server = await start(data, settings);
    const first = await until(isGiven, 'the certificate', 60);
    assert.deepEqual(readdirSync(kept(data)).sort(), ['account.json', `${NAME}.json`, `${NAME}.pem`]);
    for (const file of ['account.json', `${NAME}.pem`]) {
      assert.equal(statSync(join(kept(data), file)).mode & 0o777, 0o600, file);
    }
    const answer = await ask('/healthz');
    assert.equal(answer.statusCode, 200);
    assert.match(answer.headers['strict-transport-security'], /max-age=\d+/);
    assert.match(readFileSync(join(kept(data), `${NAME}.pem`), 'utf8'), /BEGIN CERTIFICATE[\s\S]*BEGIN CERTIFICATE[\s\S]*PRIVATE KEY/);
    let log = await server.stop();
    assert.match(log, /has given a certificate/);
    server = await start(data, settings);
    assert.equal((await shown()).fingerprint256, first.fingerprint256);
    log = await server.stop();
    assert.doesNotMatch(log, /is ordered/);
  });
}

test('where nobody reaches the challenge the own certificate stands in, and a restart asks no sooner', { timeout: 120_000 }, async () => {
  const data = temporaryFolder();
  // Pebble looks at 5001 and 5002, and finds nobody there.
  const settings = { HTTP_PORT: '0', SERVER_PORT: '5443' };
  let server = await start(data, settings);
  const past = join(kept(data), `${NAME}.json`);
  const isRefused = async () => server.log.includes('the next try is in');
  await until(isRefused, 'the refusal', 60);
  assert.match(JSON.parse(readFileSync(past, 'utf8')).why, /calls\.example\.org/);
  let log = await server.stop();
  assert.match(log, /browsers warn of the server's own; the next try is in \d+ min/);
  const before = readFileSync(past, 'utf8');
  assert.equal(JSON.parse(before).failures, 1);
  server = await start(data, settings);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  log = await server.stop();
  assert.doesNotMatch(log, /is ordered/);
  assert.equal(readFileSync(past, 'utf8'), before);
});

test('an account that the ACME server has forgotten is made anew', { timeout: 120_000 }, async () => {
  const data = temporaryFolder();
  const settings = { HTTP_PORT: String(HTTP_PORT) };
  let server = await start(data, settings);
  await until(isGiven, 'the certificate', 60);
  await server.stop();
  const account = join(kept(data), 'account.json');
  const old = JSON.parse(readFileSync(account, 'utf8'));
  rmSync(join(kept(data), `${NAME}.pem`));
  writeFileSync(account, JSON.stringify({ ...old, id: `${old.id}-of-nobody` }));
  server = await start(data, settings);
  await until(isGiven, 'another certificate', 60);
  assert.match(await server.stop(), /does not know the account any more/);
  assert.notEqual(JSON.parse(readFileSync(account, 'utf8')).id, old.id);
});
