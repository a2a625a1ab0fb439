// ioredis: MONITOR, which shows what is asked for after it and nothing from before. ioredis fails if a line comes in the
// same packet as MONITOR's own OK, so a line that comes late from before is an error here.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { eventually, it, range, startServers, unique } from './support.mjs';

const servers = await startServers();

// A connection that shows the bytes as they come.
async function openRaw(t) {
  const socket = connect(servers.port, servers.host).setNoDelay();
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  const raw = { got: '', send: (text) => socket.write(text) };
  socket.on('data', (data) => (raw.got += data));
  return raw;
}

// The last one that watches stops in the same packet as it asks for something else.
it('keeps nothing for the one who monitors next', async (t) => {
  const name = unique();
  const first = await openRaw(t);
  first.send('MONITOR\r\n');
  await eventually('MONITOR is answered', () => first.got === '+OK\r\n');
  first.send(`CLIENT SETNAME ${name}\r\nRESET\r\n`);
  await eventually('RESET is answered', () => first.got.endsWith('+RESET\r\n'));
  assert.ok(first.got.includes(` "SETNAME" "${name}"\r\n`), 'it is shown what it asked for while it monitored');
  const next = await Promise.all(range(4).map(() => openRaw(t))); // of all workers
  for (const one of next) {
    one.send('MONITOR\r\n');
    await eventually('MONITOR is answered', () => one.got.startsWith('+OK\r\n'));
  }
  next[0].send('PING\r\n');
  await eventually('all see the PING', () => next.every(({ got }) => got.includes('"PING"')));
  for (const { got } of next) assert.ok(!got.includes(name), got);
});

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('monitors', async (t) => {
      const redis = open(t, flavor, servers);
      await redis.ping(); // what it said as it connected is answered, so nobody may be shown it
      const monitor = await open(t, flavor, servers, { lazyConnect: true }).monitor();
      t.after(() => monitor.disconnect());
      const got = [];
      monitor.on('monitor', (time, args, source, database) => got.push({ time, args, source, database }));
      const key = unique();
      await redis.set(key, 'seen "quoted"\r\n');
      await eventually('the SET is shown', () => got.some(({ args }) => args[1] === key));
      const shown = got.find(({ args }) => args[1] === key);
      assert.deepEqual([shown.args[0].toUpperCase(), shown.args[1]], ['SET', key]);
      assert.equal(shown.database, '0');
      assert.match(shown.source, /^127\.0\.0\.1:\d+$/);
      assert.ok(Math.abs(Number(shown.time) - Date.now() / 1000) < 60);
    });
  });
}
