// ioredis, which speaks RESP2: a cache of one's own, as the documentation of Redis shows it, with a second connection
// that hears what has changed (CLIENT TRACKING ON REDIRECT).
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { eventually, it, range, startServers, unique } from './support.mjs';

const servers = await startServers();

// A client whose reads are kept in `kept` until they are invalid.
async function openCached(t, flavor, ...options) {
  const [client, ears] = [open(t, flavor, servers), open(t, flavor, servers)];
  const kept = new Map();
  ears.on('message', (channel, keys) => {
    assert.equal(channel, '__redis__:invalidate');
    if (keys === '') kept.clear();
    for (const key of keys.split(',')) kept.delete(key); // ioredis makes a text of the array
  });
  const id = await ears.client('ID');
  await ears.subscribe('__redis__:invalidate');
  assert.equal(await client.client('TRACKING', 'ON', 'REDIRECT', id, ...options), 'OK');
  const read = async (key) => {
    if (kept.has(key)) return kept.get(key);
    const value = client.get(key);
    kept.set(key, value); // before the answer: so an invalidation that comes first is not lost
    return value;
  };
  return { client, kept, read };
}

for (const flavor of flavors.filter(({ resp3 }) => !resp3)) {
  describe(flavor.name, () => {
    for (const [name, options] of [['keys that were read', []], ['a prefix', ['BCAST', 'PREFIX', 'user:']]]) {
      it(`hears of ${name}`, async (t) => {
        const { kept, read } = await openCached(t, flavor, ...options);
        const other = open(t, flavor, servers);
        const keys = range(40).map(() => unique('user:'));
        for (const version of ['1', '2', '3']) {
          await Promise.all(keys.map((key) => other.set(key, version)));
          // That a key has changed may be heard after it was read anew; then it is read once more.
          await eventually(`${version} is read and kept`, async () => {
            const values = await Promise.all(keys.map(read));
            return values.every((value) => value === version) && kept.size === keys.length;
          });
        }
        await other.del(keys);
        await eventually('all are forgotten', () => kept.size === 0);
      });
    }

    it('hears of a flush', async (t) => {
      const { kept, read } = await openCached(t, flavor);
      const key = unique();
      assert.equal(await read(key), null);
      await open(t, flavor, servers).flushall();
      await eventually('it is forgotten', () => kept.size === 0);
    });
  });
}
