// redlock, and the caches that people put between their code and Redis: keyv and cacheable.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import KeyvRedis, { createCluster, Keyv } from '@keyv/redis';
import { Cacheable } from 'cacheable';
import Redlock, { ExecutionError } from 'redlock';
import { flavors, open } from './ioredis_flavors.mjs';
import { eventually, it, onCorral, range, sleep, startServers, unique, uniqueTag } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  describe(`redlock over ${flavor.name}`, () => {
    it('lets one at a time into a section', async (t) => {
      const resource = unique('lock');
      const key = unique('counter');
      let inside = 0;
      const enter = async () => {
        const redis = open(t, flavor, servers);
        const redlock = new Redlock([redis], { retryCount: 500, retryDelay: 5, retryJitter: 10 });
        for (const _ of range(5)) {
          const lock = await redlock.acquire([resource], 10_000);
          assert.equal(++inside, 1);
          const value = Number(await redis.get(key));
          await redis.set(key, value + 1);
          assert.equal(--inside, 0);
          await lock.release();
        }
      };
      await Promise.all(range(6).map(enter));
      assert.equal(await open(t, flavor, servers).get(key), '30');
    });

    it('extends, releases and refuses', async (t) => {
      const redis = open(t, flavor, servers);
      const redlock = new Redlock([redis], { retryCount: 0 });
      const tag = uniqueTag();
      let lock = await redlock.acquire([`${tag}a`, `${tag}b`], 5000);
      await assert.rejects(redlock.acquire([`${tag}b`], 5000), ExecutionError);
      lock = await lock.extend(20_000);
      assert.ok((await redis.pttl(`${tag}a`)) > 15_000);
      await lock.release();
      assert.equal(await redis.exists(`${tag}a`, `${tag}b`), 0);
      await redlock.acquire([`${tag}a`], 50);
      await eventually('the lock has run out', () => redlock.acquire([`${tag}a`], 5000));
      let signalled = false;
      await redlock.using([unique('lock')], 400, { automaticExtensionThreshold: 300 }, async (signal) => {
        await sleep(600);
        signalled = signal.aborted;
      });
      assert.equal(signalled, false);
    });
  });
}

describe('keyv', () => {
  const openKeyv = (t, store) => {
    const keyv = new Keyv(store, { namespace: unique('space') });
    const errors = [];
    keyv.on('error', (error) => errors.push(error));
    t.after(() => keyv.disconnect());
    return { keyv, errors };
  };
  const overOne = () => new KeyvRedis(servers.url);
  const overCluster = () =>
    new KeyvRedis(createCluster({ rootNodes: [{ url: `redis://${servers.host}:${servers.clusterPort}` }] }));

  for (const [kind, newStore] of [['one connection', overOne], ['createCluster', overCluster]]) {
    it(`keeps values over ${kind}`, async (t) => {
      const { keyv, errors } = openKeyv(t, newStore());
      const keys = range(50).map((i) => `k${i}`);
      for (const key of keys) await keyv.set(key, { key }, 60_000);
      assert.deepEqual(await keyv.get('k7'), { key: 'k7' });
      assert.deepEqual((await keyv.getMany([...keys, 'none'])).map((value) => value?.key), [...keys, undefined]);
      assert.equal(await keyv.has('k1'), true);
      assert.equal(await keyv.delete('k1'), true);
      assert.equal(await keyv.has('k1'), false);
      const seen = [];
      for await (const [key] of keyv.iterator()) seen.push(key);
      assert.deepEqual(seen.sort(), keys.filter((key) => key !== 'k1').sort());
      await keyv.set('short', 'x', 30);
      await eventually('it has run out', async () => (await keyv.get('short')) === undefined);
      await keyv.clear();
      assert.equal(await keyv.get('k2'), undefined);
      assert.deepEqual(errors, []);
    });
  }

  it('sets, asks for and deletes many values at once over createCluster', async (t) => {
    const { keyv, errors } = openKeyv(t, overCluster());
    const keys = range(20).map((i) => `k${i}`);
    await keyv.setMany(keys.map((key) => ({ key, value: key.toUpperCase(), ttl: 60_000 })));
    assert.deepEqual(await keyv.getMany(keys), keys.map((key) => key.toUpperCase()));
    assert.deepEqual(await keyv.hasMany(keys), keys.map(() => true));
    assert.equal(await keyv.deleteMany(keys), true);
    assert.deepEqual(await keyv.hasMany(keys), keys.map(() => false));
    assert.deepEqual(errors, []);
  });

  // Over one connection keyv puts many keys into one transaction. No cluster can run that, so the error must tell why.
  it('is told of hash tags where it puts many slots into a transaction', { skip: !onCorral }, async (t) => {
    const { keyv, errors } = openKeyv(t, overOne());
    await keyv.setMany(range(20).map((i) => ({ key: `k${i}`, value: i })));
    assert.match(`${errors[0]}`, /CROSSSLOT|EXECABORT/);
    assert.equal(await keyv.get('k1'), undefined, 'nothing of it was run');
  });
});

describe('cacheable', () => {
  it('keeps a second layer', async (t) => {
    const namespace = unique('cache');
    const layers = range(2).map(() => new Cacheable({ namespace, secondary: new Keyv(new KeyvRedis(servers.url), { namespace }), ttl: '1h' }));
    const [one, other] = layers;
    t.after(() => Promise.all(layers.map((layer) => layer.disconnect())));
    await one.set('key', { a: 1 });
    assert.deepEqual(await other.get('key'), { a: 1 });
    let computed = 0;
    const wrapped = one.wrap((n) => (++computed, n * 2), { ttl: '1h', keyPrefix: 'double' });
    assert.deepEqual(await Promise.all([wrapped(21), wrapped(21)]), [42, 42]);
    assert.equal(computed, 1);
    assert.equal(await one.delete('key'), true);
    assert.equal(await other.secondary.get('key'), undefined);
    await one.clear();
  });
});
