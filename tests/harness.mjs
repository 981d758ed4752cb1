// Starts the real program and real browsers for a test, and ends them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createWebServer } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const binary = process.env.REELROOM_BIN ?? join(here, '../target/debug/reelroom');
/** The folder of what was built. */
export const binaries = dirname(binary);

export const KEY = 'devkey';
export const SECRET = 'secret';
/** Lets pages that a test serves use the program. */
export const TEST_PAGES = { ALLOWED_ORIGINS: 'http://localhost:*' };

// What a failed test leaves running ends with the test run.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A folder that is removed at the end of the process. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'reelroom-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const clientScript = join(dirname(createRequire(import.meta.url).resolve('livekit-client')), 'livekit-client.umd.js');
const clientPage = '<!doctype html><title>stock client</title><script src="/client.js"></script>';

/** A page with the stock livekit-client in it and nothing else. `answers` may answer a request itself, and then gives true.
 * At `address` 0.0.0.0 the site has every address of this machine. */
export class ClientSite {
  static async start(answers = async () => false, address = '127.0.0.1') {
    const site = new ClientSite();
    site.server = createWebServer(async (request, response) => {
      if (await answers(request, response)) return;
      const isScript = request.url === '/client.js';
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
      if (isScript) createReadStream(clientScript).pipe(response);
      else response.end(clientPage);
    });
    await new Promise((resolve) => site.server.listen(0, address, resolve));
    site.port = site.server.address().port;
    site.url = `http://localhost:${site.port}/`;
    return site;
  }

  stop() {
    this.server.close();
  }
}

/** An S3 server over `folder`; `settings` are the program's for it. */
export class S3 {
  static async start() {
    const s3 = new S3();
    s3.folder = temporaryFolder();
    s3.process = spawn(join(binaries, 'examples/s3'), [s3.folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(s3.process);
    s3.settings = {};
    for await (const line of createInterface({ input: s3.process.stdout })) {
      if (line === '') break;
      const [name, value] = line.split('=');
      s3.settings[name] = value;
    }
    return s3;
  }

  async stop() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
    running.delete(this.process);
  }
}

/** A running program: `url` is its HTTP address. */
export class Reelroom {
  constructor(process, url, output, log, restart) {
    this.process = process;
    this.url = url;
    /** The lines that it has printed so far. */
    this.output = output;
    this.log = log;
    /** Starts it again with the same settings and data; gives the new one. */
    this.restart = restart;
  }

  static async start(args = [], settings = {}) {
    const dataDir = settings.DATA_DIR ?? temporaryFolder();
    const child = spawn(binary, args, {
      env: {
        PATH: process.env.PATH,
        SERVER_PORT: '0',
        UDP_PORT: '0',
        LOG: process.env.LOG ?? 'info',
        LIVEKIT_API_KEY: KEY,
        LIVEKIT_API_SECRET: SECRET,
        ...settings,
        DATA_DIR: dataDir,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    const log = [];
    createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
    const output = [];
    const lines = createInterface({ input: child.stdout }).on('line', (line) => output.push(line));
    const line = await Promise.race([
      once(lines, 'line').then(([line]) => line),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`ended with ${code}:\n${log.join('\n')}`))),
    ]);
    const restart = () => Reelroom.start(args, { ...settings, DATA_DIR: dataDir });
    return new Reelroom(child, line.trim().split(' ').at(-1), output, log, restart);
  }

  /** The link that the first start prints where access is by invitation: it sets the owner's password. */
  async ownerLink() {
    const line = await until(() => this.output.find((line) => line.includes('/owner#setup=')), 'the link for the owner');
    return line.split(' ').at(-1);
  }

  /** The machine fails: no last words. */
  async kill9() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }

  /** Ends it properly; fails when it logged an error. */
  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, 'exit');
      this.process.kill('SIGINT');
      await ended;
    }
    this.check();
  }

  /** Ends it as whoever starts it anew does: what runs goes on in the next run. */
  async handOver() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
    this.check();
  }

  /** Fails when it logged an error, or ended with one. */
  check() {
    const code = this.process.exitCode ?? this.process.signalCode;
    const errors = this.log.filter((line) => line.includes(' ERROR ') || line.includes('panicked'));
    if (errors.length > 0) throw new Error(`errors were logged:\n${errors.join('\n')}`);
    if (code !== 0) throw new Error(`ended with ${code}:\n${this.log.slice(-30).join('\n')}`);
  }
}

/** A browser of its own with fake camera and microphone. */
export async function browser(extraArgs = []) {
  const launched = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
      '--ignore-certificate-errors',
      ...extraArgs,
    ],
  });
  return launched;
}

/** Waits until `condition` gives something truthy, and gives that. */
export async function until(condition, what, seconds = 15) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what} did not happen within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
