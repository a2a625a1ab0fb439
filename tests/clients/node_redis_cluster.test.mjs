// node-redis in cluster mode: to it Corral is one node that owns every slot.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, openCluster } from './node_redis_flavors.mjs';
import { eventually, it, range, startServers, unique, uniqueTag } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  describe(`${flavor.name}, createCluster`, () => {
    it('finds one master and no way past it', async (t) => {
      const cluster = await openCluster(t, flavor, servers);
      assert.deepEqual(cluster.masters.map(({ port }) => port), [servers.clusterPort]);
      assert.equal(cluster.replicas.length, 0);
      assert.equal(cluster.slots.filter(Boolean).length, 16384);
    });

    it('reads and writes keys of all slots', async (t) => {
      const cluster = await openCluster(t, flavor, servers, { useReplicas: true, minimizeConnections: true });
      const keys = range(500).map(() => unique());
      await Promise.all(keys.map((key, i) => cluster.set(key, `${i}`)));
      assert.deepEqual(await Promise.all(keys.map((key) => cluster.get(key))), keys.map((_, i) => `${i}`));
      const tag = uniqueTag();
      await cluster.mSet([`${tag}a`, '1', `${tag}b`, '2']);
      assert.deepEqual(await cluster.mGet([`${tag}a`, `${tag}b`]), ['1', '2']);
    });

    it('runs scripts and transactions', async (t) => {
      const cluster = await openCluster(t, flavor, servers);
      const tag = uniqueTag();
      const replies = await cluster.multi().set(`${tag}a`, '1').set(`${tag}b`, '2').mGet([`${tag}a`, `${tag}b`]).exec();
      assert.deepEqual(replies, ['OK', 'OK', ['1', '2']]);
      const lua = "return redis.call('MGET', KEYS[1], KEYS[2])";
      assert.deepEqual(await cluster.eval(lua, { keys: [`${tag}a`, `${tag}b`] }), ['1', '2']);
    });

    it('scans each of its masters', async (t) => {
      const cluster = await openCluster(t, flavor, servers);
      const prefix = unique('scan');
      const keys = range(500).map((i) => `${prefix}:${i}`);
      await Promise.all(keys.map((key) => cluster.set(key, 'x')));
      const seen = new Set();
      for (const master of cluster.masters) {
        const client = await cluster.nodeClient(master);
        for await (const batch of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 100 })) {
          for (const key of batch) seen.add(key);
        }
      }
      assert.deepEqual([...seen].sort(), keys.sort());
    });

    it('publishes and subscribes, also by shard', async (t) => {
      const sender = await openCluster(t, flavor, servers);
      const receiver = await openCluster(t, flavor, servers);
      const channels = range(10).map(() => unique('channel'));
      const got = [];
      await receiver.subscribe(channels[0], (text) => got.push(text));
      for (const channel of channels) await receiver.sSubscribe(channel, (text) => got.push(text));
      await sender.publish(channels[0], 'hello');
      for (const [i, channel] of channels.entries()) assert.equal(await sender.sPublish(channel, `shard ${i}`), 1);
      await eventually('11 messages', () => got.length >= 11);
      assert.deepEqual(got.sort(), ['hello', ...range(10).map((i) => `shard ${i}`)]);
      await receiver.sUnsubscribe(channels[0]);
      assert.equal(await sender.sPublish(channels[0], 'nobody'), 0);
    });
  });
}
