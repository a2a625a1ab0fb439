// ioredis: MONITOR, which shows what is asked for after it and nothing from before. ioredis fails if a line comes in the
// same packet as MONITOR's own OK, so a line that comes late from before is an error here.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { eventually, it, startServers, unique } from './support.mjs';

const servers = await startServers();

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
