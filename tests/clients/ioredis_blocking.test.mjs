// ioredis: lists as queues, streams with consumer groups, and everything that blocks.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { eventually, it, range, startServers, unique, uniqueTag, within } from './support.mjs';

const servers = await startServers();

// Resolves once a connection of that name waits in a blocking command.
function isBlocked(redis, name) {
  const line = new RegExp(`name=${name} .*flags=\\w*b`);
  return eventually(`${name} is blocked`, async () => line.test(await redis.client('LIST')));
}

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('waits for an element of a list', async (t) => {
      const connectionName = unique('waiting');
      const waiting = open(t, flavor, servers, { connectionName });
      const pushing = open(t, flavor, servers);
      const tag = uniqueTag();
      const pop = waiting.blpop(`${tag}a`, `${tag}b`, 0);
      await isBlocked(pushing, connectionName);
      assert.equal(await pushing.rpush(`${tag}b`, 'x', 'y'), 2);
      assert.deepEqual(await within(pop, 'BLPOP'), [`${tag}b`, 'x']);
      assert.deepEqual(await waiting.brpop(`${tag}b`, 1), [`${tag}b`, 'y']);
      assert.equal(await waiting.blpop(`${tag}a`, 0.05), null);
      const move = waiting.blmove(`${tag}a`, `${tag}c`, 'LEFT', 'RIGHT', 0);
      const after = waiting.get(`${tag}none`);
      await pushing.rpush(`${tag}a`, 'moved');
      assert.equal(await within(move, 'BLMOVE'), 'moved');
      assert.equal(await after, null);
      assert.deepEqual(await pushing.lrange(`${tag}c`, 0, -1), ['moved']);
      assert.equal(await waiting.brpoplpush(`${tag}c`, `${tag}d`, 1), 'moved');
      const popped = waiting.blmpop(0, 2, `${tag}e`, `${tag}f`, 'LEFT', 'COUNT', 5);
      await pushing.rpush(`${tag}f`, '1', '2');
      assert.deepEqual(await within(popped, 'BLMPOP'), [`${tag}f`, ['1', '2']]);
    });

    it('waits for a member of a sorted set', async (t) => {
      const waiting = open(t, flavor, servers);
      const adding = open(t, flavor, servers);
      const tag = uniqueTag();
      const pop = waiting.bzpopmin(`${tag}a`, `${tag}b`, 0);
      await adding.zadd(`${tag}b`, 2, 'second', 1, 'first');
      assert.deepEqual(await within(pop, 'BZPOPMIN'), [`${tag}b`, 'first', '1']);
      assert.deepEqual(await waiting.bzpopmax(`${tag}b`, 1), [`${tag}b`, 'second', '2']);
      assert.equal(await waiting.bzpopmin(`${tag}a`, 0.05), null);
    });

    it('is woken by CLIENT UNBLOCK', async (t) => {
      const connectionName = unique('blocked');
      const waiting = open(t, flavor, servers, { connectionName });
      const other = open(t, flavor, servers);
      const id = await waiting.client('ID');
      const pop = waiting.blpop(unique(), 0);
      await isBlocked(other, connectionName);
      assert.equal(await other.client('UNBLOCK', id), 1);
      assert.equal(await within(pop, 'BLPOP'), null);
      const failing = waiting.blpop(unique(), 0);
      failing.catch(() => {});
      await isBlocked(other, connectionName);
      assert.equal(await other.client('UNBLOCK', id, 'ERROR'), 1);
      await assert.rejects(within(failing, 'BLPOP'), { message: /^UNBLOCKED / });
      assert.equal(await other.client('UNBLOCK', id), 0);
    });

    it('loses and doubles nothing between many waiting clients', async (t) => {
      const pushing = open(t, flavor, servers);
      const lists = range(5).map(() => unique('queue'));
      const got = [];
      const consume = async (redis, list) => {
        for (;;) {
          const [, element] = await redis.blpop(list, 0);
          if (element === 'end') return;
          got.push(element);
        }
      };
      const consumers = range(20).map((i) => consume(open(t, flavor, servers), lists[i % 5]));
      for (const i of range(400)) await pushing.rpush(lists[i % 5], `e${i}`);
      for (const list of lists) await pushing.rpush(list, 'end', 'end', 'end', 'end');
      await within(Promise.all(consumers), 'all consumers end');
      assert.deepEqual(got.sort(), range(400).map((i) => `e${i}`).sort());
    });

    it('does not take an element for a client that went away', async (t) => {
      const pushing = open(t, flavor, servers);
      const connectionName = unique('leaving');
      const leaving = open(t, flavor, servers, { connectionName });
      const list = unique('queue');
      leaving.blpop(list, 0).catch(() => {});
      await isBlocked(pushing, connectionName);
      leaving.disconnect();
      // Gone for the servers of the lists: what comes until then may still be on its way to it, as with one Redis.
      const nodes = servers.nodes.map((port) => open(t, flavor, { ...servers, port }));
      await eventually('nobody is blocked', async () =>
        (await Promise.all(nodes.map((node) => node.info('clients')))).every((info) => /^blocked_clients:0/m.test(info)));
      await pushing.rpush(list, 'kept');
      assert.equal(await pushing.lpop(list), 'kept');
    });

    it('reads streams, also as they grow', async (t) => {
      const reading = open(t, flavor, servers);
      const adding = open(t, flavor, servers);
      const tag = uniqueTag();
      const read = reading.xread('BLOCK', 0, 'COUNT', 10, 'STREAMS', `${tag}a`, `${tag}b`, '0', '0');
      await adding.xadd(`${tag}b`, '5-1', 'field', 'value');
      assert.deepEqual(await within(read, 'XREAD'), [[`${tag}b`, [['5-1', ['field', 'value']]]]]);
      assert.equal(await reading.xread('BLOCK', 20, 'STREAMS', `${tag}a`, '$'), null);
      await adding.xadd(`${tag}a`, '6-1', 'f', 'v');
      const both = await reading.xread('STREAMS', `${tag}a`, `${tag}b`, '0', '0');
      assert.deepEqual(both.map(([name, entries]) => [name, entries.length]), [[`${tag}a`, 1], [`${tag}b`, 1]]);
    });

    it('shares a stream between consumers of a group', async (t) => {
      const adding = open(t, flavor, servers);
      const key = unique('stream');
      await adding.xgroup('CREATE', key, 'group', '$', 'MKSTREAM');
      await assert.rejects(adding.xgroup('CREATE', key, 'group', '$'), { message: /^BUSYGROUP / });
      const got = [];
      const consume = async (redis, name) => {
        for (;;) {
          const reply = await redis.xreadgroup('GROUP', 'group', name, 'COUNT', 5, 'BLOCK', 0, 'STREAMS', key, '>');
          const entries = reply[0][1];
          await redis.xack(key, 'group', ...entries.map(([id]) => id));
          got.push(...entries.map(([, fields]) => fields[1]).filter((value) => value !== 'end'));
          if (entries.some(([, fields]) => fields[1] === 'end')) return;
        }
      };
      const consumers = range(4).map((i) => consume(open(t, flavor, servers), `c${i}`));
      for (const i of range(200)) await adding.xadd(key, '*', 'n', `e${i}`);
      let ended = false;
      const all = Promise.all(consumers).then(() => (ended = true));
      // A consumer may take several of these at once, so they are offered until the last one has got its own.
      await eventually('all consumers end', async () => {
        if (!ended) await adding.xadd(key, '*', 'n', 'end');
        return ended;
      });
      await all;
      assert.deepEqual(got.sort(), range(200).map((i) => `e${i}`).sort());
      await adding.xreadgroup('GROUP', 'group', 'late', 'STREAMS', key, '>');
      const id = await adding.xadd(key, '*', 'n', 'claimed');
      await adding.xreadgroup('GROUP', 'group', 'late', 'STREAMS', key, '>');
      const [, claimed] = await adding.xautoclaim(key, 'group', 'other', 0, id);
      assert.deepEqual(claimed, [[id, ['n', 'claimed']]]);
      const info = await adding.xinfo('GROUPS', key);
      assert.equal((Array.isArray(info[0]) ? info[0][1] : info[0].name), 'group');
    });

    it('waits for replicas that do not exist', async (t) => {
      const redis = open(t, flavor, servers);
      await redis.set(unique(), 'x');
      assert.equal(await redis.wait(1, 50), 0);
      assert.equal(await redis.wait(0, 0), 0);
    });
  });
}
