// node-redis: everything that blocks, in pools and on connections of its own.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open, openPool } from './node_redis_flavors.mjs';
import { it, startServers, uniqueTag } from './support.mjs';

const servers = await startServers();

// The first entry of a stream, of what XREAD gave: objects, or with 5 and RESP3 what the server said.
function firstId(reply, name) {
  const messages = Array.isArray(reply) ? reply.find((stream) => stream.name === name).messages : reply[name];
  return messages[0].id ?? messages[0][0];
}

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('blocks in isolation while the pool goes on', async (t) => {
      const pool = await openPool(t, flavor, servers, { minimum: 1, maximum: 4 });
      const tag = uniqueTag();
      const popped = pool.execute((client) => client.blPop([`${tag}a`, `${tag}b`], 0));
      await pool.set(`${tag}x`, 'meanwhile');
      assert.equal(await pool.get(`${tag}x`), 'meanwhile');
      await pool.lPush(`${tag}b`, 'element');
      assert.deepEqual({ ...(await popped) }, { key: `${tag}b`, element: 'element' });
      assert.equal(await pool.execute((client) => client.blPop(`${tag}a`, 0.05)), null);
    });

    it('blocks on sorted sets and streams', async (t) => {
      const waiting = await open(t, flavor, servers);
      const adding = await waiting.duplicate().connect();
      t.after(() => adding.destroy());
      const tag = uniqueTag();
      const pop = waiting.bzPopMin([`${tag}a`, `${tag}b`], 0);
      await adding.zAdd(`${tag}b`, { value: 'm', score: 1.5 });
      assert.deepEqual({ ...(await pop) }, { key: `${tag}b`, value: 'm', score: 1.5 });
      const read = waiting.xRead({ key: `${tag}x`, id: '0' }, { BLOCK: 0 });
      await adding.xAdd(`${tag}x`, '1-1', { f: 'v' });
      assert.equal(firstId(await read, `${tag}x`), '1-1');
      await adding.xGroupCreate(`${tag}x`, 'g', '0');
      const group = await waiting.xReadGroup('g', 'consumer', { key: `${tag}x`, id: '>' }, { BLOCK: 100 });
      assert.equal(firstId(group, `${tag}x`), '1-1');
      assert.equal(await waiting.xReadGroup('g', 'consumer', { key: `${tag}x`, id: '>' }, { BLOCK: 20 }), null);
      assert.equal(await adding.xAck(`${tag}x`, 'g', '1-1'), 1);
    });
  });
}
