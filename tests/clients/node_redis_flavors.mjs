// The node-redis that people have: 5 speaks RESP2 unless told otherwise, 6 speaks RESP3.
import * as redis5 from 'redis5';
import * as redis6 from 'redis';

export const flavors = [
  { name: 'node-redis 5', redis: redis5, options: {} },
  { name: 'node-redis 5 with RESP3', redis: redis5, options: { RESP: 3, unstableResp3: true }, resp3: true },
  { name: 'node-redis 6', redis: redis6, options: {}, resp3: true },
  { name: 'node-redis 6 with RESP2', redis: redis6, options: { RESP: 2 } },
];

// A connected client that is gone after the test `t`. What it emits as an error fails the test.
export function open(t, { redis, options }, servers, more = {}) {
  return connectAndClose(t, redis.createClient({ url: servers.url, ...options, ...more }));
}

export function openPool(t, { redis, options }, servers, pool = {}) {
  return connectAndClose(t, redis.createClientPool({ url: servers.url, ...options }, pool));
}

export function openCluster(t, { redis, options }, servers, more = {}) {
  const rootNodes = [{ url: `redis://${servers.host}:${servers.clusterPort}` }];
  return connectAndClose(t, redis.createCluster({ rootNodes, ...options, ...more }));
}

async function connectAndClose(t, client) {
  const errors = [];
  client.on('error', (error) => errors.push(error));
  t.after(() => {
    if (client.isOpen) client.destroy();
    if (errors.length > 0) throw errors[0];
  });
  await client.connect();
  return client;
}
