// Unmodified cache-aside clients on ioredis, on one hot key: the load of bench/stampede.sh. cache_aside.cc is the same for
// clients that block, and says what is printed.
//
//   node cache_aside.mjs PORT[,PORT...] --packages DIR --key KEY [--clients 200] [--connections 200] [--autopipelining yes]
//     [--reads-per-second 500] [--seconds 60] [--ttl-ms 5000] [--origin-ms 200]
//
// DIR is where ioredis is installed. The clients are callers that share the connections.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    packages: { type: 'string' },
    key: { type: 'string' },
    clients: { type: 'string', default: '200' },
    connections: { type: 'string', default: '200' },
    autopipelining: { type: 'string', default: 'no' },
    'reads-per-second': { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    'ttl-ms': { type: 'string', default: '5000' },
    'origin-ms': { type: 'string', default: '200' },
  },
});
const Redis = createRequire(`${options.packages}/`)('ioredis');
const ports = positionals[0].split(',').map(Number);
const { key } = options;
const [clients, connections, rate, seconds, ttl, originTime] = [
  'clients', 'connections', 'reads-per-second', 'seconds', 'ttl-ms', 'origin-ms',
].map((name) => Number(options[name]));

const now = () => performance.timeOrigin + performance.now();
const lines = [];

async function origin() {
  await sleep(originTime);
  return now().toFixed(3);
}

// What everybody's cache-aside code does, and notes of it.
async function read(redis) {
  const asked = now();
  let told;
  let kind = 'hit';
  let value = '';
  try {
    value = await redis.get(key);
    told = now();
    if (value === null) {
      kind = 'nil';
      value = await origin();
      await redis.set(key, value, 'PX', ttl);
    }
  } catch (error) {
    told ??= now();
    if (kind === 'hit') [kind, value] = ['error', ''];
    process.stderr.write(`${error}\n`);
  }
  lines.push(`${asked.toFixed(3)},${(told - asked).toFixed(3)},${(now() - asked).toFixed(3)},${kind},${value}\n`);
}

async function call(redis, number, start) {
  const interval = (1000 * clients) / rate;
  for (let next = start + (interval * number) / clients; next < start + seconds * 1000; next = Math.max(next + interval, now())) {
    await sleep(next - now());
    await read(redis);
  }
}

const opened = Array.from({ length: Math.min(connections, clients) }, (_, i) =>
  new Redis(ports[i % ports.length], '127.0.0.1', { enableAutoPipelining: options.autopipelining === 'yes' }));
await Promise.all(opened.map((redis) => once(redis, 'ready')));
const start = now() + 200;
await Promise.all(Array.from({ length: clients }, (_, i) => call(opened[i % opened.length], i, start)));
for (const redis of opened) redis.disconnect();
process.stdout.write(lines.join(''));
