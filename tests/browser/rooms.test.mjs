// A room and its links: a guest comes by one, waits where there is a lobby, is asked whether they agree to being recorded, and is out
// when it is revoked. What is refused to guests is in invited.test.mjs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reelroom, until } from '../harness.mjs';
import { BLUE, becomeOwner, colourShown, Person } from './people.mjs';

const PASSWORD = 'correct horse battery';

test('a guest comes by a link, is let in, muted and asked for consent, and is out when it is revoked', { timeout: 120_000 }, async () => {
  const server = await Reelroom.start([], { ACCESS: 'invite', LIVEKIT_API_KEY: '', LIVEKIT_API_SECRET: '' });
  const owner = await Person.arrive();
  const guest = await Person.arrive(BLUE);
  const heading = (page, name) => page.getByRole('heading', { name, exact: true });

  await becomeOwner(owner, server, PASSWORD);
  await owner.page.getByLabel('Name of a new room').fill('The <b>Club</b>');
  await owner.page.getByRole('button', { name: 'Make room' }).click();
  const room = owner.page.locator('[data-room="The <b>Club</b>"]');
  const link = await room.getByLabel('Link for guests', { exact: true }).inputValue();
  assert.ok(link.startsWith(`${server.url}/join#`), link);

  // In a call of the owner's, in another tab.
  const call = await owner.page.context().newPage();
  await call.goto(server.url);
  await call.getByLabel('Participant').fill('Ada');
  await call.getByLabel('Room', { exact: true }).fill('The <b>Club</b>');
  await call.getByRole('button', { name: 'Join', exact: true }).click();
  await call.getByRole('button', { name: 'Leave room' }).waitFor();

  const seen = [];
  guest.page.on('request', (request) => seen.push(request.url()));
  await guest.page.goto(link);
  await heading(guest.page, 'The <b>Club</b>').waitFor();
  assert.equal(await guest.page.getByLabel('Room', { exact: true }).count(), 0, 'only the name is asked for');
  await guest.type('Participant', 'Bob');
  await guest.press('Join');
  await guest.button('Leave room');
  await until(async () => {
    const colour = await call.evaluate(colourShown, 'Bob');
    return colour !== null && colour[2] > 100;
  }, 'the owner sees the guest');
  const secret = link.split('#')[1];
  assert.ok(seen.every((url) => !url.split('#')[0].includes(secret)), 'the secret is in no address that is asked for');

  // A lobby: who is in stays, and whoever comes waits until the owner lets them in.
  const lobby = room.getByLabel('A host lets guests in');
  await lobby.click();
  await until(() => lobby.isChecked(), 'the room has a lobby');
  const other = await guest.page.context().newPage();
  await other.setViewportSize({ width: 390, height: 844 });
  await other.goto(link);
  const join = async (name) => {
    await other.getByLabel('Participant').fill(name);
    await other.getByRole('button', { name: 'Join', exact: true }).click();
  };
  await join('Eve');
  await heading(other, 'Waiting to be let in').waitFor();
  assert.ok(await other.evaluate(() => document.documentElement.scrollWidth <= 390), 'it fits a telephone');
  await call.locator('.badge', { hasText: '1' }).waitFor();
  await call.getByRole('button', { name: '2 people' }).click();
  await call.getByRole('button', { name: 'Do not let Eve in' }).click();
  await other.getByRole('alert').filter({ hasText: 'A host did not let you in' }).waitFor();
  await join('Eve');
  await other.getByRole('alert').filter({ hasText: 'you can ask again in' }).waitFor();
  await join('Zoe');
  await other.getByText('The hosts of this room see that you wait').waitFor();
  await call.getByRole('button', { name: 'Let Zoe in', exact: true }).click();
  await other.getByRole('button', { name: 'Leave room' }).waitFor();
  await call.getByRole('button', { name: 'Mute: Zoe' }).click();
  await other.getByRole('button', { name: 'Unmute microphone' }).waitFor();
  await call.getByRole('button', { name: 'Remove Zoe' }).click();
  await call.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await heading(other, 'You were removed from the room').waitFor();
  await guest.page.getByRole('button', { name: 'Leave room' }).waitFor();
  await other.close();
  // Who has not agreed is asked as soon as it matters, and all see what holds.
  await room.getByLabel('Record only those who agree').click();
  await guest.page.getByText('Recordings leave you out').waitFor();
  await call.getByRole('button', { name: 'Start Recording' }).click();
  await guest.page.getByRole('alert').getByRole('button', { name: 'I agree' }).click();
  await guest.page.getByText('Recordings show you').waitFor();
  const isLeftOut = async (name) =>
    (await call.locator(`[data-participant="${name}"]`).getByRole('img', { name: 'Not recorded' }).count()) > 0;
  await until(async () => (await isLeftOut('Ada')) && !(await isLeftOut('Bob')), 'who is recorded is seen');
  await guest.page.getByRole('button', { name: 'Do not record me' }).click();
  await until(() => isLeftOut('Bob'), 'it can be taken back');
  await call.getByRole('button', { name: 'Stop Recording' }).click();

  await room.getByRole('button', { name: 'Revoke link for guests' }).click();
  await owner.page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
  const revoked = Date.now();
  await heading(guest.page, 'You were removed from the room').waitFor();
  assert.ok(Date.now() - revoked < 3000, 'at once');
  await guest.page.getByRole('button', { name: 'Join again' }).click();
  await guest.page.getByRole('button', { name: 'Join', exact: true }).click();
  await guest.page.getByRole('alert').filter({ hasText: 'a link that was sent to you' }).waitFor();
  await guest.page.reload();
  await heading(guest.page, 'This link does not open a room').waitFor();
  await call.getByRole('button', { name: 'Leave room' }).waitFor();

  // Deleted, it is closed for its owner too.
  await room.getByRole('button', { name: 'Delete room' }).click();
  await owner.page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await room.waitFor({ state: 'detached' });
  await call.getByRole('button', { name: 'Leave room' }).waitFor({ state: 'detached' });

  await owner.leave();
  await guest.leave();
  await server.stop();
});
