// The owner signs in at an OpenID provider that nobody here wrote (npm oidc-provider), which is another site than the page's.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Provider from 'oidc-provider';
import { browser, freePort, Reelroom } from '../harness.mjs';

const CLIENT = { client_id: 'reelroom', client_secret: 'word-of-the-client' };
// Whoever types one of these names at the provider is that person.
const ACCOUNTS = {
  ann: { email: 'ann@example.org', email_verified: true },
  eve: { email: 'eve@example.org', email_verified: true },
  mallory: { email: 'ann@example.org', email_verified: false },
  'ann@example.org': {},
};
const STRANGER = "This account is not the owner's";
const STALE = 'The sign-in was begun in another browser, took too long or has ended';

let url;
let issuer;
let provider;
let server;
let chromium;

before(async () => {
  url = `http://localhost:${await freePort()}`;
  const port = await freePort();
  // A host of its own: cookies come with what this site has a browser ask as little as they come from any other.
  issuer = `http://127.0.0.1:${port}`;
  const op = new Provider(issuer, {
    clients: [{ ...CLIENT, redirect_uris: [`${url}/owner/oidc/back`] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    cookies: { keys: ['of this test'] },
    pkce: { methods: ['S256'], required: () => true },
    findAccount: (_, id) =>
      ACCOUNTS[id] && { accountId: id, claims: async () => ({ sub: id, ...ACCOUNTS[id] }) },
  });
  provider = op.listen(port, '127.0.0.1');
  server = await Reelroom.start([], {
    ACCESS: 'invite',
    LIVEKIT_API_KEY: '',
    LIVEKIT_API_SECRET: '',
    SERVER_PORT: new URL(url).port,
    OIDC_ISSUER: issuer,
    OIDC_CLIENT_ID: CLIENT.client_id,
    OIDC_CLIENT_SECRET: CLIENT.client_secret,
    OIDC_OWNERS: 'ann@example.org, sub:somebody else',
  });
  assert.equal(server.url, url);
  chromium = await browser();
});

after(async () => {
  await chromium?.close();
  provider?.closeAllConnections();
  provider?.close();
  await server?.stop();
  assert.ok(!server.log.join('\n').includes(CLIENT.client_secret), 'the secret is in no log');
});

/** A browser of somebody else: a page of it, and what it may read of the server. */
async function visitor() {
  const context = await chromium.newContext();
  // The provider's pages ask for fonts from elsewhere.
  await context.route('https://fonts.googleapis.com/**', (route) => route.abort());
  const page = await context.newPage();
  const reads = async (path) => (await context.request.get(url + path)).status();
  return { context, page, reads };
}

/** To the provider's last question, as this account, unless the provider remembers another one of this browser. */
async function goesThere(page, account) {
  await page.getByRole('link', { name: 'Sign in with 127.0.0.1' }).click();
  const [first, last] = [page.getByPlaceholder('Enter any login'), page.getByRole('button', { name: 'Continue' })];
  await first.or(last).waitFor();
  if (await first.isVisible()) {
    await first.fill(account);
    await page.getByPlaceholder('and password').fill('any');
    await page.getByRole('button', { name: 'Sign-in' }).click();
  }
  await last.waitFor();
}

const signsIn = async (page, account) => {
  await goesThere(page, account);
  await page.getByRole('button', { name: 'Continue' }).click();
};

const isTold = (page, text) => page.getByRole('alert').filter({ hasText: text }).waitFor();

test('the owner signs in there, is where they were going, and signs out', { timeout: 60_000 }, async () => {
  const { context, page, reads } = await visitor();
  await page.goto(`${url}/recordings.html?roomName=Room`);
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor();
  assert.equal(await reads('/recordings'), 401);
  await signsIn(page, 'ann');
  await page.waitForURL(`${url}/recordings.html?roomName=Room`);
  await page.getByLabel('Room name').waitFor();
  assert.equal(await page.getByLabel('Room name').inputValue(), 'Room');
  assert.equal(await reads('/recordings'), 200);

  const cookies = (await context.cookies(url)).filter(({ name }) => name.startsWith('reelroom'));
  assert.deepEqual(cookies.map(({ name }) => name).sort(), ['reelroom', 'reelroom-mark'], 'that of the sign-in is gone');
  for (const { httpOnly, sameSite } of cookies) assert.deepEqual([httpOnly, sameSite], [true, 'Lax']);
  const { sessions } = await (await context.request.get(`${url}/owner/sessions`)).json();
  assert.ok(sessions.some(({ current, userAgent }) => current && /Chrome/.test(userAgent)));

  await page.goto(`${url}/owner`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor();
  assert.equal(await reads('/recordings'), 401);
  await context.close();
});

test('nobody else is let in, whatever their account looks like, and neither is who breaks it off', { timeout: 60_000 }, async () => {
  for (const account of ['eve', 'mallory', 'ann@example.org']) {
    const { context, page, reads } = await visitor();
    await page.goto(`${url}/owner`);
    await signsIn(page, account);
    await isTold(page, STRANGER);
    // What happened is not in the address any more.
    await page.waitForURL(`${url}/owner`);
    assert.equal(await reads('/recordings'), 401, account);
    await context.close();
  }
  const { context, page } = await visitor();
  await page.goto(`${url}/recordings.html`);
  await goesThere(page, 'ann');
  await page.getByRole('link', { name: 'Cancel' }).click();
  await isTold(page, 'The sign-in was broken off there');
  await signsIn(page, 'ann');
  await page.waitForURL(`${url}/recordings.html`);
  await context.close();
});

/** Answers the provider's last question, and gives the address to which it would send the browser, which goes nowhere. */
async function wouldGoTo({ context, page }) {
  const action = await page.locator('form').getAttribute('action');
  const options = { maxRedirects: 0 };
  let answer = await context.request.post(action, { ...options, form: { prompt: 'consent' } });
  for (;;) {
    const { location } = answer.headers();
    assert.ok(location, `a redirect, and not ${answer.status()}`);
    const next = new URL(location, answer.url()).href;
    if (next.startsWith(url)) return next;
    answer = await context.request.get(next, options);
  }
}

test('what the provider gives one browser opens nothing in another, and nothing twice', { timeout: 60_000 }, async () => {
  const [ann, victim] = [await visitor(), await visitor()];
  await ann.page.goto(`${url}/owner`);
  await goesThere(ann.page, 'ann');
  const back = await wouldGoTo(ann);
  assert.match(back, /\/owner\/oidc\/back\?.*code=/);

  // In a browser that began nothing, and in one that began a sign-in of its own.
  for (const begin of [async () => {}, () => goesThere(victim.page, 'eve')]) {
    await victim.page.goto(`${url}/owner`);
    await begin();
    await victim.page.goto(back);
    await isTold(victim.page, STALE);
    assert.equal(await victim.reads('/recordings'), 401);
  }

  await ann.page.goto(back);
  await ann.page.getByRole('heading', { name: 'You are signed in' }).waitFor();
  assert.equal(await ann.reads('/recordings'), 200);
  await ann.page.getByRole('button', { name: 'Sign out' }).click();
  await ann.page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor();
  await ann.page.goto(back);
  await isTold(ann.page, STALE);
  assert.equal(await ann.reads('/recordings'), 401);
  await Promise.all([ann.context.close(), victim.context.close()]);
});

test('where the session ends behind a page, signing in in another tab opens it again', { timeout: 60_000 }, async () => {
  const { context, page } = await visitor();
  await page.goto(`${url}/recordings.html`);
  await signsIn(page, 'ann');
  await page.getByLabel('Search').fill('Roo');
  await context.clearCookies({ name: 'reelroom' });
  await page.getByLabel('Search').fill('Room');
  const form = page.getByRole('dialog');
  await form.getByText('You are not signed in any more').waitFor();
  const [tab] = await Promise.all([
    context.waitForEvent('page'),
    form.getByRole('link', { name: 'Sign in with 127.0.0.1' }).click(),
  ]);
  // The provider still knows who they are.
  await tab.getByRole('heading', { name: 'You are signed in' }).waitFor();
  await tab.close();
  await page.evaluate(() => window.dispatchEvent(new Event('focus')));
  await form.waitFor({ state: 'detached' });
  assert.equal(await page.getByLabel('Search').inputValue(), 'Room');
  await context.close();
});
