// Chromium to Chromium over bad lines, for scripts/bad-lines: what the viewer sees and hears, and what the recording holds.

import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AccessToken } from 'livekit-server-sdk';
import { joinBy_, measured, recorded, seconds, stallsOf } from '../browser/clockwork.mjs';
import { browser, ClientSite, Reelroom, temporaryFolder } from '../harness.mjs';
import { found, watch } from './page.mjs';

const [report] = process.argv.slice(2);
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const folder = temporaryFolder();

/** Chromium at the far end of a line. */
async function at(pid, origin) {
  const within = join(folder, `chromium-${pid}`);
  writeFileSync(within, `#!/bin/sh\nexec nsenter --net=/proc/${pid}/ns/net ${CHROMIUM} "$@"\n`);
  chmodSync(within, 0o755);
  process.env.CHROMIUM = within;
  try {
    // Pages of http may use no devices; those here are their own.
    return await browser([`--unsafely-treat-insecure-origin-as-secure=${origin}`]);
  } finally {
    delete process.env.CHROMIUM;
  }
}

// The well-known key is good on this machine alone.
const [KEY, SECRET] = ['bad-lines', 'a secret of these calls, which is long enough'];

const sh = (command) => execFileSync('sh', ['-ec', command], { stdio: ['ignore', 'inherit', 'inherit'] });

/** Loses so many of a hundred datagrams of each line, both ways. */
function lose(percent) {
  sh('iptables -w -F');
  if (percent === 0) return;
  for (const [chain, way] of [
    ['INPUT', '-i'],
    ['OUTPUT', '-o'],
  ])
    for (const line of ['line1', 'line2'])
      sh(`iptables -w -A ${chain} ${way} ${line} -p udp -m statistic --mode random --probability ${percent / 100} -j DROP`);
}

/** The viewer's line carries so much to them. */
function narrow(kbps) {
  sh('tc qdisc del dev line2 root 2>/dev/null || true');
  if (kbps) sh(`tc qdisc add dev line2 root tbf rate ${kbps}kbit burst 4kb latency 300ms`);
}

// Who watches has no place in the recording's picture.
const token = async (identity, room, { hidden } = { hidden: false }) => {
  const one = new AccessToken(KEY, SECRET, { identity, name: identity });
  one.addGrant({ roomJoin: true, room, hidden });
  return one.toJwt();
};

const server = await Reelroom.start([], {
  LISTEN: '0.0.0.0',
  LIVEKIT_API_KEY: KEY,
  LIVEKIT_API_SECRET: SECRET,
  ACCESS: 'open',
  TLS: 'off',
  ALLOWED_ORIGINS: 'http://10.80.1.1:*,http://10.80.2.1:*',
});
const port = new URL(server.url).port;
const here = { url: `http://127.0.0.1:${port}` };
const site = await ClientSite.start(undefined, '0.0.0.0');
const [near, far] = [`http://10.80.1.1:${site.port}`, `http://10.80.2.1:${site.port}`];
const [publisher, viewer] = [await at(process.env.PUBLISHER, near), await at(process.env.VIEWER, far)];

/** Somebody watches `room`. */
async function watches(room) {
  const tab = await (await viewer.newContext()).newPage();
  await tab.goto(far);
  await tab.evaluate(watch, [`ws://10.80.2.1:${port}`, await token('bob', room, { hidden: true })]);
  return tab;
}

/** `ONLY` says which parts run, without a report. */
const isWanted = (part) => new RegExp(process.env.ONLY ?? '').test(part);

const rows = [];
const figures = (told) => [told.still_s.toFixed(2), told.silent_s.toFixed(2), told.pictures.toFixed(1), told.size.join('x')];

/** Looks at what is seen for so long. */
async function look(tab, long) {
  const from = await tab.evaluate(() => window.now());
  await seconds(long);
  return tab.evaluate(found, from);
}

function row(what, told, recording = '') {
  const made = told.received > 0 ? ((100 * told.concealed) / told.received).toFixed(1) : '';
  rows.push(`| ${[what, ...figures(told), made, recording].join(' | ')} |`);
  console.log(rows.at(-1), ...told.said);
}

// Lines that lose. The publisher's picture tells its clock and its sound the second, so that the recording is judged by content.
for (const percent of [0, 5, 10].filter((percent) => isWanted(`loses ${percent}`))) {
  const room = `loses ${percent}`;
  const tab = await joinBy_(publisher, { url: near }, `http://10.80.1.1:${port}`, await token('ada', room));
  const watching = await watches(room);
  await seconds(4);
  lose(percent);
  await seconds(2);
  let told;
  const file = await recorded(here, room, async () => {
    told = await look(watching, 40);
  });
  lose(0);
  const { problems, hole_s, still_s, off_s, missing_s } = measured(file, [], await stallsOf(tab));
  const holds = `silent ${hole_s.toFixed(2)}, still ${still_s.toFixed(2)}, unheard ${missing_s.toFixed(2)}, ${(1000 * off_s).toFixed(0)} ms out of sync`;
  row(`loses ${percent} % both ways, of both`, told, problems.length > 0 ? `${holds}: ${problems.join('; ')}` : holds);
  await tab.context().close();
  await watching.context().close();
}

// A line that gets narrow, and wide again; a moving picture of three layers.
if (isWanted('narrow')) {
  const room = 'narrow';
  const tab = await (await publisher.newContext()).newPage();
  await tab.goto(near);
  await tab.evaluate(
    async ([url, jwt]) => {
      const { Room } = window.LivekitClient;
      window.room = new Room();
      await window.room.connect(url, jwt);
      await window.room.localParticipant.setCameraEnabled(true, { resolution: { width: 1280, height: 720, frameRate: 25 } });
      await window.room.localParticipant.setMicrophoneEnabled(true, { echoCancellation: false, noiseSuppression: false, autoGainControl: false });
    },
    [`ws://10.80.1.1:${port}`, await token('ada', room)],
  );
  const watching = await watches(room);
  await seconds(15);
  row('a good line, 720p in three layers', await look(watching, 10));
  narrow(400);
  row('becomes 400 kbit/s: its first 10 s', await look(watching, 10));
  row('the next 30 s', await look(watching, 30));
  narrow(0);
  row('a good line again: its first 15 s', await look(watching, 15));
  row('the next 10 s', await look(watching, 10));
  await tab.context().close();
  await watching.context().close();
}

// The viewer's address goes, and another one comes: a laptop that is carried from one network to another.
if (isWanted('moves')) {
  const room = 'moves';
  const tab = await joinBy_(publisher, { url: near }, `http://10.80.1.1:${port}`, await token('ada', room));
  const watching = await watches(room);
  await seconds(8);
  sh(
    `nsenter --net=/proc/${process.env.VIEWER}/ns/net sh -ec 'ip address del 10.80.2.2/24 dev line0; ip address add 10.80.2.3/24 dev line0; ip route replace default via 10.80.2.1 dev line0 onlink'`,
  );
  row("the viewer's address changes: the next 40 s", await look(watching, 40));
  await tab.context().close();
}

await Promise.all([publisher.close(), viewer.close()]);
site.stop();
await server.stop();
if (!process.env.ONLY)
  writeFileSync(
  report,
  `# Calls over bad lines

\`scripts/bad-lines\` writes this page: Chromium calls Chromium, each in a network namespace of its own whose packet filter loses datagrams or whose queue
is narrow. *Still* and *silent* are the longest times without a new picture and without sound that the viewer had; *made up* is how much of the sound its
decoder had to invent. Where a recording was made it is judged by content: the publisher's picture shows its clock, and its sound has a tone for each second.

| the line | still, s | silent, s | pictures a second | size | made up, % | the recording, s |
|---|---|---|---|---|---|---|
${rows.join('\n')}
`,
);
process.exit(0);
