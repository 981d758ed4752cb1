// Firefox as Debian has it, driven by Marionette, its own remote protocol: JSON over TCP, each message with its length before it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort, temporaryFolder, until } from '../harness.mjs';

const SETTINGS = {
  'browser.shell.checkDefaultBrowser': false,
  'browser.aboutwelcome.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'app.normandy.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'toolkit.telemetry.server': '',
};

export class Firefox {
  static async start() {
    const firefox = new Firefox();
    firefox.profile = temporaryFolder();
    const port = await freePort();
    const settings = { ...SETTINGS, 'marionette.port': port };
    const lines = Object.entries(settings).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});`);
    writeFileSync(join(firefox.profile, 'user.js'), lines.join('\n'));
    const args = ['--headless', '--no-remote', '--marionette', '--remote-allow-system-access', '--profile', firefox.profile, 'about:blank'];
    firefox.process = spawn(process.env.FIREFOX ?? 'firefox-esr', args, {
      env: { ...process.env, HOME: firefox.profile, MOZ_HEADLESS: '1' },
      stdio: 'ignore',
      detached: true,
    });
    firefox.end = () => process.kill(-firefox.process.pid, 'SIGKILL');
    process.once('exit', firefox.end);
    firefox.socket = await until(
      () => new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket));
        socket.on('error', () => resolve(null));
      }),
      'Firefox answering',
      60,
    );
    firefox.answers = new Map();
    let received = Buffer.alloc(0);
    firefox.socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      for (;;) {
        const colon = received.indexOf(':');
        const end = colon + 1 + Number(received.subarray(0, colon));
        if (colon < 0 || received.length < end) return;
        const message = JSON.parse(received.subarray(colon + 1, end));
        received = received.subarray(end);
        // What is no answer is its greeting.
        if (Array.isArray(message)) firefox.answers.get(message[1])?.(message);
      }
    });
    await firefox.call('WebDriver:NewSession', { capabilities: {} });
    await firefox.call('Marionette:SetContext', { value: 'chrome' });
    await firefox.call('WebDriver:SetTimeouts', { script: 120_000 });
    return firefox;
  }

  async call(command, parameters) {
    this.calls = (this.calls ?? 0) + 1;
    const message = JSON.stringify([0, this.calls, command, parameters]);
    const answer = new Promise((resolve) => this.answers.set(this.calls, resolve));
    this.socket.write(`${Buffer.byteLength(message)}:${message}`);
    const [, , error, result] = await answer;
    if (error) throw new Error(`${command}: ${error.error}: ${error.message}`);
    return result;
  }

  /** Runs the body of an asynchronous function in Firefox itself, with its own modules. */
  async run(body, ...args) {
    const script = `const done = arguments[arguments.length - 1]; const args = [...arguments].slice(0, -1);
      (async () => { ${body} })().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value } = await this.call('WebDriver:ExecuteAsyncScript', { script, args });
    if (value.error) throw new Error(value.error);
    return value.value;
  }

  async stop() {
    const ended = once(this.process, 'exit');
    process.off('exit', this.end);
    this.end();
    await ended;
  }
}
