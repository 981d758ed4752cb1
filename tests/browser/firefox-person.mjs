// Somebody with Firefox, as Debian has it, by WebDriver BiDi. What ICE does is as in every new profile: only the devices
// are fake ones.

import puppeteer from 'puppeteer-core';
import { until } from '../harness.mjs';
import { colourShown } from './people.mjs';

/** The tone of Firefox's fake microphone, in Hz. Its fake camera shows one colour after the other. */
export const FIREFOX_HZ = 440;

const FAKE_DEVICES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.navigator.audio.fake_frequency': FIREFOX_HZ,
};

export class FirefoxPerson {
  /** `options.devices`: false for somebody who does not allow any. */
  static async arrive({ devices = true } = {}) {
    const person = new FirefoxPerson();
    person.browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
      headless: true,
      acceptInsecureCerts: true,
      extraPrefsFirefox: devices ? FAKE_DEVICES : {},
    });
    person.page = await person.browser.newPage();
    await person.page.setViewport({ width: 1280, height: 720 });
    if (!devices) {
      await person.page.evaluateOnNewDocument(() => {
        navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException('denied', 'NotAllowedError');
        };
      });
    }
    return person;
  }

  async open(url) {
    await this.page.goto(url);
    await this.page.waitForSelector('input[name=roomName]');
  }

  /** Through the form, as a person does. */
  async join(url, room, name) {
    await this.open(url);
    for (const [field, text] of [
      ['participantName', name],
      ['roomName', room],
    ]) {
      const input = await this.page.waitForSelector(`input[name=${field}]`);
      await input.click({ count: 3 });
      await input.type(text);
    }
    await this.page.click('form button[type=submit]');
    await this.button('Leave room');
  }

  /** The button of that name, once it is there. */
  button(name) {
    const find = (wanted) =>
      [...document.querySelectorAll('button')].find(
        (button) => (button.getAttribute('aria-label') ?? button.textContent.trim()) === wanted && !button.disabled,
      ) ?? false;
    return this.page.waitForFunction(find, { timeout: 20_000 }, name);
  }

  async press(name) {
    await (await this.button(name)).asElement().click();
  }

  /** Clicks the link of that name. */
  async follow(name) {
    const find = (wanted) => [...document.links].find((link) => link.textContent.trim() === wanted) ?? false;
    await (await this.page.waitForFunction(find, { timeout: 20_000 }, name)).asElement().click();
  }

  /** The field of that label, once it is there. */
  async field(label) {
    const find = (wanted) =>
      [...document.querySelectorAll('label')].find((label) => label.textContent.trim() === wanted)?.control ??
      [...document.querySelectorAll('input')].find((input) => input.getAttribute('aria-label') === wanted) ??
      false;
    return (await this.page.waitForFunction(find, { timeout: 20_000 }, label)).asElement();
  }

  async type(label, text) {
    const field = await this.field(label);
    await field.click({ count: 3 });
    await field.type(text);
  }

  async tick(label) {
    await (await this.field(label)).click();
  }

  async typed(label) {
    return (await this.field(label)).evaluate((field) => field.value);
  }

  async reads(text) {
    await until(() => this.page.evaluate((wanted) => document.body.textContent.includes(wanted), text), `"${text}"`);
  }

  /** The mean colour now shown of `name`: [red, green, blue], or null. */
  colourOf(name) {
    return this.page.evaluate(colourShown, name);
  }

  seesColour(name, isIt) {
    return until(async () => {
      const colour = await this.colourOf(name);
      return colour && isIt(colour);
    }, `the picture of ${name}`);
  }

  async leave() {
    await this.browser.close();
  }
}
