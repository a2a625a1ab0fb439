// node-redis: its client-side cache, which keeps what it has read until the server says that it has changed.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { flavors, open, openPool } from './node_redis_flavors.mjs';
import { eventually, it, range, startServers, unique } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors.filter(({ resp3 }) => resp3)) {
  const { BasicClientSideCache, BasicPooledClientSideCache } = flavor.redis;

  describe(flavor.name, () => {
    it('keeps what it has read until another client changes it', async (t) => {
      const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
      const client = await open(t, flavor, servers, { clientSideCache: cache });
      const other = await open(t, flavor, servers);
      const keys = range(50).map(() => unique());
      await Promise.all(keys.map((key, i) => other.set(key, `old ${i}`)));
      for (const round of range(3)) {
        const values = await Promise.all(keys.map((key) => client.get(key)));
        assert.deepEqual(values, keys.map((_, i) => `old ${i}`), `round ${round}`);
      }
      assert.equal(cache.size(), keys.length);
      assert.equal(cache.stats().hitCount, 2 * keys.length);
      await Promise.all(keys.map((key, i) => other.set(key, `new ${i}`)));
      await eventually('all are forgotten', () => cache.size() === 0);
      assert.deepEqual(await Promise.all(keys.map((key) => client.get(key))), keys.map((_, i) => `new ${i}`));
    });

    it('forgets what it changes itself, in any type of value', async (t) => {
      const cache = new BasicClientSideCache();
      const client = await open(t, flavor, servers, { clientSideCache: cache });
      const [hash, list, set] = [unique('hash'), unique('list'), unique('set')];
      for (const i of range(20)) {
        await client.hSet(hash, 'field', i);
        await client.rPush(list, `${i}`);
        await client.sAdd(set, `${i}`);
        assert.equal(await client.hGet(hash, 'field'), `${i}`);
        assert.equal(await client.lLen(list), i + 1);
        assert.equal(await client.sCard(set), i + 1);
        assert.deepEqual({ ...(await client.hGetAll(hash)) }, { field: `${i}` });
      }
    });

    it('never reads anything older than what it has heard', async (t) => {
      const client = await open(t, flavor, servers, { clientSideCache: { ttl: 0, maxEntries: 1000 } });
      const writer = await open(t, flavor, servers);
      const keys = range(20).map(() => unique('counter'));
      const seen = new Map(keys.map((key) => [key, 0]));
      let writing = true;
      const writes = (async () => {
        for (const _ of range(200)) await Promise.all(keys.map((key) => writer.incr(key)));
        writing = false;
      })();
      while (writing) {
        await turn(); // what is kept is given without one
        const values = await Promise.all(keys.map((key) => client.get(key)));
        for (const [i, key] of keys.entries()) {
          const value = Number(values[i]);
          assert.ok(value >= seen.get(key), `${value} after ${seen.get(key)}`);
          seen.set(key, value);
        }
      }
      await writes;
      await eventually('all are read as they are', async () =>
        (await Promise.all(keys.map((key) => client.get(key)))).every((value) => value === '200'),
      );
    });

    it('is told when all is flushed', async (t) => {
      const cache = new BasicClientSideCache();
      const client = await open(t, flavor, servers, { clientSideCache: cache });
      const key = unique();
      await client.set(key, 'there');
      assert.equal(await client.get(key), 'there');
      assert.equal(cache.size(), 1);
      await (await open(t, flavor, servers)).flushAll();
      await eventually('it is forgotten', () => cache.size() === 0);
      assert.equal(await client.get(key), null);
    });

    it('shares a cache among the connections of a pool', async (t) => {
      const cache = new BasicPooledClientSideCache();
      const pool = await openPool(t, flavor, servers, { minimum: 2, maximum: 5, clientSideCache: cache });
      const other = await open(t, flavor, servers);
      const keys = range(30).map(() => unique());
      for (const version of ['1', '2', '3']) {
        await Promise.all(keys.map((key) => other.set(key, version)));
        await eventually(`${version} is read everywhere`, async () =>
          (await Promise.all(keys.map((key) => pool.get(key)))).every((value) => value === version),
        );
      }
    });
  });
}
