// Participants in browsers: what they show and sound like, what they see and hear.

import { browser, until } from '../harness.mjs';

/** In a page: the mean colour now shown of `name`, [red, green, blue], or null. */
export const colourShown = (name) => {
  const tile = [...document.querySelectorAll('[data-participant]')].find((t) => t.dataset.participant === name);
  const video = tile?.querySelector('video');
  if (!video || video.readyState < 2) return null;
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
};

/**
 * Camera and microphone of known content: the picture is one colour, the sound one tone. With `flash` both happen
 * together in the first tenth of each second: the picture turns white, and only then the tone sounds.
 */
function fakeDevices({ colour, hz, flash }) {
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    window.fakeClock ??= new AudioContext({ sampleRate: 48000 });
    const clock = window.fakeClock;
    await clock.resume();
    const stream = new MediaStream();
    if (video) {
      const canvas = document.createElement('canvas');
      canvas.width = 640;
      canvas.height = 360;
      const context = canvas.getContext('2d');
      setInterval(() => {
        const bright = flash && clock.currentTime % 1 < 0.1;
        context.fillStyle = bright ? '#fff' : colour;
        context.fillRect(0, 0, 640, 360);
      }, 20);
      stream.addTrack(canvas.captureStream(30).getVideoTracks()[0]);
    }
    if (audio) {
      const samples = clock.createBuffer(1, 48000, 48000);
      const sound = samples.getChannelData(0);
      for (let i = 0; i < (flash ? 4800 : 48000); i += 1) sound[i] = 0.4 * Math.sin((2 * Math.PI * hz * i) / 48000);
      const source = clock.createBufferSource();
      source.buffer = samples;
      source.loop = true;
      const out = clock.createMediaStreamDestination();
      source.connect(out);
      source.start(Math.ceil(clock.currentTime + 0.05));
      stream.addTrack(out.stream.getAudioTracks()[0]);
    }
    return stream;
  };
}

export const RED = { colour: '#e00000', hz: 440, flash: true };
export const BLUE = { colour: '#0000e0', hz: 1000, flash: false };

/** Sets the owner's password by the link of the first start, and is signed in by that. `person` has any browser. */
export async function becomeOwner(person, server, password) {
  await person.page.goto(await server.ownerLink());
  await person.type('New password', password);
  await person.type('Once more', password);
  await person.press('Set the password');
  await person.reads('You are signed in');
}

/** Comes into a room by its link, and is asked for no more than a name. `person` has any browser. */
export async function joinBy(person, link, name) {
  await person.page.goto(link);
  await person.type('Participant', name);
  await person.press('Join');
  await person.button('Leave room');
}

/** Somebody with a Chromium of their own. A `FirefoxPerson` has methods of the same names for what both do. */
export class Person {
  /** `shared`: a Chromium that is there already, in which they are as much apart from others as in one of their own. */
  static async arrive(devices = RED, shared = null) {
    const person = new Person();
    person.browser = shared ?? (await browser());
    const context = await person.browser.newContext({ viewport: { width: 1280, height: 720 } });
    person.close = () => (shared === null ? person.browser : context).close();
    await context.addInitScript(fakeDevices, devices);
    person.page = await context.newPage();
    person.problems = [];
    person.page.on('pageerror', (error) => person.problems.push(error.message));
    person.page.on('console', (message) => {
      // Chromium still fetches the icon of a server of before, at another port, and judges it by the policy of the page that came after.
      const icon = /Loading the image '([^']+\/icon\.svg)' violates/.exec(message.text());
      const isOldIcon = icon !== null && new URL(icon[1]).origin !== new URL(person.page.url()).origin;
      if (/Content Security Policy/.test(message.text()) && !isOldIcon) person.problems.push(message.text());
    });
    return person;
  }

  /** Through the form, as a person does. */
  async join(url, room, name) {
    await this.page.goto(url);
    await this.page.getByLabel('Participant').fill(name);
    await this.page.getByLabel('Room', { exact: true }).fill(room);
    await this.page.getByRole('button', { name: 'Join', exact: true }).click();
    await this.page.getByRole('button', { name: 'Leave room' }).waitFor();
  }

  /** Waits for the button of that name, until it can be pressed. */
  button(name) {
    return this.page.getByRole('button', { name, exact: true, disabled: false }).waitFor();
  }

  press(name) {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  follow(name) {
    return this.page.getByRole('link', { name, exact: true }).click();
  }

  type(label, text) {
    return this.page.getByLabel(label, { exact: true }).fill(text);
  }

  tick(label) {
    return this.page.getByLabel(label, { exact: true }).check();
  }

  typed(label) {
    return this.page.getByLabel(label, { exact: true }).inputValue();
  }

  async reads(text) {
    await until(() => this.page.evaluate((wanted) => document.body.textContent.includes(wanted), text), `"${text}"`);
  }

  recordButton(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  recordings() {
    return this.page.locator('[data-recording]');
  }

  /** The mean colour now shown of `name`: [red, green, blue], or null. */
  colourOf(name) {
    return this.page.evaluate(colourShown, name);
  }

  /** How loud `hz` is in what the page plays of others, in dB. */
  loudness(hz) {
    return this.page.evaluate(async (hz) => {
      const ear = new AudioContext({ sampleRate: 48000 });
      await ear.resume();
      const analyser = ear.createAnalyser();
      analyser.fftSize = 4096;
      analyser.smoothingTimeConstant = 0;
      for (const element of document.querySelectorAll('audio')) {
        if (element.srcObject?.getAudioTracks().length) ear.createMediaStreamSource(element.srcObject).connect(analyser);
      }
      let loudest = -200;
      const levels = new Float32Array(analyser.frequencyBinCount);
      for (let i = 0; i < 24; i += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        analyser.getFloatFrequencyData(levels);
        loudest = Math.max(loudest, levels[Math.round((hz * 4096) / 48000)]);
      }
      await ear.close();
      return loudest;
    }, hz);
  }

  seesColour(name, isIt) {
    return until(async () => {
      const colour = await this.colourOf(name);
      return colour && isIt(colour);
    }, `the picture of ${name}`);
  }

  hears(hz) {
    return until(async () => (await this.loudness(hz)) > -60, `a tone of ${hz} Hz`);
  }

  async leave() {
    await this.close();
    if (this.problems.length > 0) throw new Error(`the page had problems:\n${this.problems.join('\n')}`);
  }
}

export const isRed = ([red, green, blue]) => red > 140 && green < 90 && blue < 90;
export const isBlue = ([red, green, blue]) => blue > 140 && red < 90 && green < 90;
