// ioredis: unmodified cache-aside code behind leases. Calls that share a connection must never lock each other out: a
// reply that waits holds back all that are behind it, and with auto-pipelining nothing more is sent until it comes.
//
// CORRAL_ROUNDS (30) is how many rounds of chance there are, CORRAL_SEED repeats them. CORRAL_TEST_STAMPEDE=0 leaves out the
// leases, as a control: what says that one client computes must fail then.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { it, onCorral, range, sleep, startServers, unique, within } from './support.mjs';

// What is not to end a wait takes longer than a test has patience.
const rule = (prefix, more) => `[[rule]]
match = "${prefix}:*"
${process.env.CORRAL_TEST_STAMPEDE === '0' ? '' : `stampede = { lease = "1m", wait = "1m"${more} }`}
`;
const servers = await startServers(rule('cold', '') + rule('shared', ', wait_shared = "300ms"'));

const patience = 15_000;

// What everybody's cache-aside code does; `computed` counts.
async function cached(redis, key, originMs, computed = new Map()) {
  const hit = await redis.get(key);
  if (hit !== null) return hit;
  computed.set(key, (computed.get(key) ?? 0) + 1);
  await sleep(originMs);
  const value = `value of ${key}`;
  await redis.set(key, value, 'EX', 60);
  return value;
}

// `# Corral` of INFO, as an object.
async function counters(redis) {
  const text = await redis.info('corral');
  return Object.fromEntries(text.split('\r\n').filter((line) => line.includes(':')).map((line) => {
    const [name, value] = line.split(':');
    return [name, Number(value)];
  }));
}

// The longest of calls, which must all be done in time.
async function longestOf(calls, what) {
  const began = performance.now();
  let longest = 0;
  await within(Promise.all(calls.map(async (call) => {
    await call;
    longest = Math.max(longest, performance.now() - began);
  })), what, patience);
  return longest;
}

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('connections of their own: one computes', async (t) => {
      const all = range(50).map(() => open(t, flavor, servers));
      await Promise.all(all.map((redis) => redis.ping()));
      const [key, computed] = [unique('cold:'), new Map()];
      const values = await Promise.all(all.map((redis) => cached(redis, key, 200, computed)));
      assert.deepEqual([...new Set(values)], [`value of ${key}`]);
      assert.equal(computed.get(key), 1);
    });

    for (const prefix of ['cold', 'shared']) {
      it(`auto-pipelining, one connection, 100 calls on a cold key and others beside, ${prefix}`, async (t) => {
        const redis = open(t, flavor, servers, { enableAutoPipelining: true });
        const key = unique(`${prefix}:`);
        let over = false;
        let longestBeside = 0;
        const beside = (async () => {
          while (!over) {
            const began = performance.now();
            await Promise.all([redis.set('beside', 'x'), redis.get('beside'), redis.incr('count'), redis.get(unique('cold:'))]);
            longestBeside = Math.max(longestBeside, performance.now() - began);
            await sleep(1);
          }
        })();
        const longest = await longestOf(range(100).map(() => cached(redis, key, 200)), 'the calls');
        over = true;
        await within(beside, 'the traffic beside', patience);
        t.diagnostic(`the longest call took ${longest.toFixed(0)} ms, beside them ${longestBeside.toFixed(0)} ms`);
        assert.equal(await redis.get(key), `value of ${key}`);
      });
    }

    it('auto-pipelining on some connections: who waits for another connection is answered', async (t) => {
      const all = range(8).map(() => open(t, flavor, servers, { enableAutoPipelining: true }));
      await Promise.all(all.map((redis) => redis.ping()));
      for (let round = 0; round < 5; round += 1) {
        const key = unique('cold:');
        const longest = await longestOf(range(200).map((i) => cached(all[i % all.length], key, 100)), 'the calls');
        t.diagnostic(`the longest call took ${longest.toFixed(0)} ms`);
      }
    });
  });
}

// A generator of Park and Miller, so that a seed repeats what is done.
function chances(seed) {
  let state = (seed % 2147483646) + 1;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

// Some calls on some keys through a pool, some of whose connections die meanwhile; what they computed others do then.
async function playRound(t, flavor, chance) {
  const options = { enableAutoPipelining: chance(2) === 1, lazyConnect: true };
  const pool = range(1 + chance(8)).map(() => new flavor.Redis(servers.port, servers.host, { ...flavor.options, ...options }));
  const keys = range(1 + chance(4)).map(() => unique(chance(4) === 0 ? 'shared:' : 'cold:'));
  const dead = new Set();
  const calls = range(10 + chance(60)).map(async () => {
    const redis = pool[chance(pool.length)];
    const key = keys[chance(keys.length)];
    await sleep(chance(10));
    try {
      assert.equal(await cached(redis, key, chance(20)), `value of ${key}`);
    } catch (error) {
      if (!dead.has(redis)) throw error;
    }
  });
  const deaths = range(chance(pool.length)).map(async (i) => {
    await sleep(chance(30));
    dead.add(pool[i]);
    pool[i].disconnect();
  });
  const longest = await longestOf([...calls, ...deaths], `a round with the keys ${keys}`);
  for (const redis of pool) redis.disconnect();
  return longest;
}

it('rounds of chance: nobody is forgotten', { timeout: Infinity }, async (t) => {
  const rounds = Number(process.env.CORRAL_ROUNDS ?? 30);
  const seed = Number(process.env.CORRAL_SEED ?? Date.now() % 2147483646);
  t.diagnostic(`CORRAL_ROUNDS=${rounds} CORRAL_SEED=${seed}`);
  const chance = chances(seed);
  const observer = open(t, flavors[0], servers);
  const before = onCorral ? await counters(observer) : {};
  let longest = 0;
  for (let round = 0; round < rounds; round += 1) {
    longest = Math.max(longest, await playRound(t, flavors[chance(flavors.length)], chance));
  }
  t.diagnostic(`the longest call took ${longest.toFixed(0)} ms`);
  if (!onCorral || process.env.CORRAL_TEST_STAMPEDE === '0') return;
  const after = await counters(observer);
  const grown = (name) => after[name] - before[name];
  t.diagnostic(['leases_granted', 'leases_filled', 'leases_lapsed', 'waits', 'waits_filled', 'waits_timed_out']
    .map((name) => `${name}: ${grown(name)}`).join(', '));
  // Who was told nil has set the key or is gone, so nothing ends by itself. What a call waited for on a shared
  // connection may have, after wait_shared.
  assert.equal(grown('leases_lapsed'), 0);
  assert.ok(grown('leases_granted') > 0);
});
