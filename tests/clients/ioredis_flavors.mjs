// The ioredis that people have: 5 speaks RESP2, 6 speaks RESP3 unless told otherwise.
import Redis5 from 'ioredis';
import Redis6 from 'ioredis6';

export const flavors = [
  { name: 'ioredis 5', Redis: Redis5, options: {} },
  { name: 'ioredis 6', Redis: Redis6, options: {}, resp3: true },
  { name: 'ioredis 6 with RESP2', Redis: Redis6, options: { protocol: 2 } },
];

// A client that is gone after the test `t`. What it emits as an error fails the test, unless it asks for errors.
export function open(t, { Redis, options }, servers, more = {}) {
  const client = new Redis(servers.port, servers.host, { ...options, ...more });
  return closeAfter(t, client);
}

export function openCluster(t, { Redis, options }, servers, { redisOptions, ...more } = {}) {
  const nodes = [{ host: servers.host, port: servers.clusterPort }];
  const client = new Redis.Cluster(nodes, { redisOptions: { ...options, ...redisOptions }, ...more });
  return closeAfter(t, client);
}

function closeAfter(t, client) {
  const errors = [];
  client.on('error', (error) => errors.push(error));
  t.after(() => {
    client.disconnect();
    if (errors.length > 0) throw errors[0];
  });
  return client;
}
