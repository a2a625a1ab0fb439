// ioredis in cluster mode: to it Corral is one node that owns every slot.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, openCluster } from './ioredis_flavors.mjs';
import { eventually, it, range, startServers, unique, uniqueTag } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  describe(`${flavor.name}, Cluster`, () => {
    it('finds one master and no way past it', async (t) => {
      const cluster = openCluster(t, flavor, servers);
      await cluster.set(unique(), 'x');
      const addresses = cluster.nodes('all').map((node) => `${node.options.host}:${node.options.port}`);
      assert.deepEqual(addresses, [`${servers.host}:${servers.clusterPort}`]);
      assert.equal(cluster.nodes('master').length, 1);
      assert.match(await cluster.cluster('INFO'), /cluster_state:ok/);
    });

    it('reads and writes keys of all slots', async (t) => {
      const cluster = openCluster(t, flavor, servers, { scaleReads: 'all' });
      const keys = range(500).map(() => unique());
      await Promise.all(keys.map((key, i) => cluster.set(key, i)));
      assert.deepEqual(await Promise.all(keys.map((key) => cluster.get(key))), keys.map((_, i) => `${i}`));
      const tag = uniqueTag();
      await cluster.mset(`${tag}a`, 1, `${tag}b`, 2);
      assert.deepEqual(await cluster.mget(`${tag}a`, `${tag}b`), ['1', '2']);
    });

    it('pipelines, also by itself', async (t) => {
      const cluster = openCluster(t, flavor, servers, { enableAutoPipelining: true });
      const keys = range(300).map(() => unique());
      await Promise.all(keys.map((key, i) => cluster.set(key, i)));
      assert.deepEqual(await Promise.all(keys.map((key) => cluster.get(key))), keys.map((_, i) => `${i}`));
      const pipeline = cluster.pipeline();
      for (const key of keys) pipeline.get(key);
      assert.deepEqual(await pipeline.exec(), keys.map((_, i) => [null, `${i}`]));
    });

    it('runs scripts and transactions', async (t) => {
      const cluster = openCluster(t, flavor, servers, {
        scripts: { both: { numberOfKeys: 2, lua: "return redis.call('MGET', KEYS[1], KEYS[2])" } },
      });
      const tag = uniqueTag();
      const replies = await cluster.multi().set(`${tag}a`, 1).set(`${tag}b`, 2).mget(`${tag}a`, `${tag}b`).exec();
      assert.deepEqual(replies, [[null, 'OK'], [null, 'OK'], [null, ['1', '2']]]);
      assert.deepEqual(await cluster.both(`${tag}a`, `${tag}b`), ['1', '2']);
    });

    it('scans each of its masters', async (t) => {
      const cluster = openCluster(t, flavor, servers);
      const prefix = unique('scan');
      const keys = range(500).map((i) => `${prefix}:${i}`);
      await Promise.all(keys.map((key) => cluster.set(key, 'x')));
      const seen = new Set();
      for (const master of cluster.nodes('master')) {
        for await (const batch of master.scanStream({ match: `${prefix}:*`, count: 100 })) {
          for (const key of batch) seen.add(key);
        }
      }
      assert.deepEqual([...seen].sort(), keys.sort());
    });

    it('publishes and subscribes', async (t) => {
      const [sender, receiver] = [openCluster(t, flavor, servers), openCluster(t, flavor, servers)];
      const channel = unique('channel');
      const got = [];
      receiver.on('message', (name, text) => got.push([name, text]));
      await receiver.subscribe(channel);
      for (const i of range(20)) await sender.publish(channel, `m${i}`);
      await eventually('20 messages', () => got.length >= 20);
      assert.deepEqual(got, range(20).map((i) => [channel, `m${i}`]));
    });

    it('publishes and subscribes by shard', async (t) => {
      const sender = openCluster(t, flavor, servers);
      const receiver = openCluster(t, flavor, servers, { shardedSubscribers: true });
      const channels = range(20).map(() => unique('shard'));
      const got = [];
      receiver.on('smessage', (name, text) => got.push(`${name} ${text}`));
      // Channels of several slots cannot be in one command, so each is subscribed to alone.
      for (const channel of channels) await receiver.ssubscribe(channel);
      for (const channel of channels) assert.equal(await sender.spublish(channel, 'hello'), 1);
      await eventually('20 messages', () => got.length >= 20);
      assert.deepEqual(got.sort(), channels.map((channel) => `${channel} hello`).sort());
      await receiver.sunsubscribe(channels[0]);
      assert.equal(await sender.spublish(channels[0], 'nobody'), 0);
    });
  });
}
