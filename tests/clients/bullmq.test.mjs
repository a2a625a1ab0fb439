// BullMQ: everything that its users do with a queue. All keys of a queue must share a slot, so its prefix has a hash tag.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe } from 'node:test';
import Redis6 from 'ioredis6';
import { createClient } from 'redis';
import { eventually, it, onCorral, range, startServers, unique, within } from './support.mjs';

// Only from CommonJS BullMQ finds ioredis by itself, as it does for those who give it no client.
const { FlowProducer, Queue, QueueEvents, Worker } = createRequire(import.meta.url)('bullmq');

const servers = await startServers();
const address = { host: servers.host, port: servers.port };

const flavors = [
  { name: 'its own ioredis 5', connect: () => address },
  { name: 'ioredis 6', connect: () => new Redis6({ ...address, maxRetriesPerRequest: null }) },
  { name: 'node-redis 6', connect: () => createClient({ url: servers.url }) },
];

// What BullMQ does not close, since it was given it. What node-redis has sent is answered first: BullMQ waits for the
// answer without a handler for its failure.
async function disconnect(connection) {
  if (connection instanceof Redis6) connection.disconnect();
  if (connection.isOpen) await within(connection.close(), 'an idle connection', 3000).catch(() => connection.destroy());
}

// Makes queues, workers and the like of one name, and closes them after the test.
function shop(t, { connect }, prefix = '{bull}') {
  const name = unique('queue');
  const errors = [];
  const make = (Class, ...args) => {
    const connection = connect();
    const options = { connection, prefix, ...args.pop() };
    const made = new Class(...args, options);
    made.on('error', (error) => errors.push(error));
    t.after(async () => {
      await made.close(true);
      await disconnect(connection);
    });
    return made;
  };
  t.after(() => assert.deepEqual(errors, []));
  return {
    name,
    errors,
    queue: (options = {}) => make(Queue, name, options),
    worker: (work, options = {}) => make(Worker, name, work, options),
    events: async () => {
      // From the beginning, or the first may come before it listens.
      const events = make(QueueEvents, name, { lastEventId: '0' });
      await events.waitUntilReady();
      return events;
    },
    flow: () => make(FlowProducer, {}),
    make,
  };
}

for (const flavor of flavors) {
  describe(`BullMQ over ${flavor.name}`, () => {
    it('does each job once, with several workers', async (t) => {
      const { queue: newQueue, worker, events: newEvents } = shop(t, flavor);
      const queue = newQueue();
      const events = await newEvents();
      const done = [];
      for (const _ of range(3)) worker(async (job) => (done.push(job.data.i), job.data.i * 2), { concurrency: 5 });
      const jobs = await queue.addBulk(range(150).map((i) => ({ name: 'double', data: { i } })));
      const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20_000)));
      assert.deepEqual(results, range(150).map((i) => 2 * i));
      assert.deepEqual(done.sort((a, b) => a - b), range(150));
      const counts = await queue.getJobCounts();
      assert.deepEqual([counts.completed, counts.waiting, counts.active, counts.failed], [150, 0, 0, 0]);
      const workers = await queue.getWorkers();
      if (flavor === flavors[0]) assert.equal(workers.length, 3, 'CLIENT LIST tells the workers by name');
    });

    it('delays jobs', async (t) => {
      const { queue: newQueue, worker } = shop(t, flavor);
      const queue = newQueue();
      const done = [];
      worker(async (job) => done.push({ name: job.name, after: Date.now() - job.timestamp }));
      await queue.addBulk([
        { name: 'later', data: {}, opts: { delay: 1200 } },
        { name: 'soon', data: {}, opts: { delay: 300 } },
        { name: 'now', data: {} },
      ]);
      await eventually('three jobs', () => done.length === 3);
      assert.deepEqual(done.map(({ name }) => name), ['now', 'soon', 'later']);
      assert.ok(done[1].after >= 300 && done[2].after >= 1200, JSON.stringify(done));
    });

    it('goes by priority', async (t) => {
      const { queue: newQueue, worker } = shop(t, flavor);
      const queue = newQueue();
      await queue.pause();
      for (const priority of [30, 10, 20, 10]) await queue.add(`p${priority}`, {}, { priority });
      await queue.add('first', {});
      const done = [];
      worker(async (job) => done.push(job.name));
      await queue.resume();
      await eventually('five jobs', () => done.length === 5);
      assert.deepEqual(done, ['first', 'p10', 'p10', 'p20', 'p30']);
    });

    it('repeats', async (t) => {
      const { queue: newQueue, worker } = shop(t, flavor);
      const queue = newQueue();
      const done = [];
      worker(async (job) => done.push(job.data.n));
      await queue.upsertJobScheduler('every', { every: 100, limit: 4 }, { name: 'tick', data: { n: 7 } });
      await eventually('four times', () => done.length === 4);
      assert.deepEqual(done, [7, 7, 7, 7]);
      await queue.upsertJobScheduler('yearly', { pattern: '0 0 1 1 *' }, { name: 'year' });
      assert.ok((await queue.getJobSchedulers()).some(({ key }) => key === 'yearly'));
      assert.equal(await queue.removeJobScheduler('yearly'), true);
    });

    it('limits the rate', async (t) => {
      const { queue: newQueue, worker } = shop(t, flavor);
      const queue = newQueue();
      const done = [];
      await queue.addBulk(range(12).map((i) => ({ name: 'limited', data: { i } })));
      for (const _ of range(2)) {
        worker(async () => done.push(Date.now()), { limiter: { max: 4, duration: 400 }, concurrency: 4 });
      }
      await eventually('twelve jobs', () => done.length === 12);
      const span = Math.max(...done) - Math.min(...done);
      assert.ok(span >= 700, `three windows of 400 ms took ${span} ms`);
    });

    it('does the children of a flow first', async (t) => {
      const { name, flow, worker, events: newEvents, make } = shop(t, flavor);
      const events = await newEvents();
      make(Worker, `${name}-parts`, async (job) => job.data.i ** 2, {});
      worker(async (job) => Object.values(await job.getChildrenValues()).reduce((sum, value) => sum + value, 0));
      const children = range(10).map((i) => ({ name: 'part', queueName: `${name}-parts`, data: { i } }));
      const tree = await flow().add({ name: 'sum', queueName: name, children });
      assert.equal(await tree.job.waitUntilFinished(events, 10_000), 285);
      const { processed } = await tree.job.getDependencies();
      assert.equal(Object.keys(processed).length, 10);
    });

    it('takes over the job of a worker that died', async (t) => {
      const { queue: newQueue, worker, events: newEvents } = shop(t, flavor);
      const queue = newQueue();
      const events = await newEvents();
      const stalled = new Promise((resolve) => events.on('stalled', ({ jobId }) => resolve(jobId)));
      const dying = worker(() => new Promise(() => {}), { lockDuration: 300, lockRenewTime: 10_000, skipStalledCheck: true });
      const job = await queue.add('left behind', {});
      await eventually('the job is active', async () => (await job.getState()) === 'active');
      await dying.close(true);
      worker(async () => 'done by another', { lockDuration: 5000, stalledInterval: 200 });
      assert.equal(await within(stalled, 'a stalled job'), job.id);
      assert.equal(await job.waitUntilFinished(events, 10_000), 'done by another');
    });

    it('tries again, tells its progress and what happens', async (t) => {
      const { queue: newQueue, worker, events: newEvents } = shop(t, flavor);
      const queue = newQueue();
      const events = await newEvents();
      const heard = [];
      for (const event of ['added', 'active', 'progress', 'completed', 'failed', 'retries-exhausted']) {
        events.on(event, ({ jobId }) => heard.push(`${event} ${jobId}`));
      }
      worker(async (job) => {
        await job.updateProgress(50);
        await job.log(`try ${job.attemptsMade}`);
        if (job.attemptsMade < job.data.failures) throw new Error(`failed ${job.attemptsMade}`);
        return 'well';
      });
      const options = { attempts: 3, backoff: { type: 'exponential', delay: 20 } };
      const good = await queue.add('good', { failures: 2 }, { ...options, jobId: 'good' });
      const bad = await queue.add('bad', { failures: 9 }, { ...options, jobId: 'bad' });
      assert.equal(await good.waitUntilFinished(events, 10_000), 'well');
      await assert.rejects(bad.waitUntilFinished(events, 10_000), { message: 'failed 2' });
      await eventually('all events', () => heard.includes('failed bad') && heard.includes('completed good'));
      assert.equal(heard.filter((event) => event === 'active good').length, 3);
      assert.ok(heard.includes('progress bad') && heard.includes('added good'));
      assert.equal((await queue.getJobLogs('bad')).count, 3);
      assert.equal((await queue.getFailed()).length, 1);
      await (await queue.getJob('bad')).retry();
      await eventually('failed again', async () => (await (await queue.getJob('bad')).getState()) === 'failed');
    });

    it('counts, cleans and deletes', async (t) => {
      const { queue: newQueue } = shop(t, flavor);
      const queue = newQueue();
      const once = { deduplication: { id: 'same' } };
      const [one, other] = [await queue.add('a', {}, once), await queue.add('a', {}, once)];
      assert.equal(one.id, other.id);
      await queue.addBulk(range(50).map((i) => ({ name: 'b', data: { i }, opts: { delay: i % 2 ? 60_000 : 0 } })));
      assert.deepEqual(await queue.getJobCounts('wait', 'delayed'), { wait: 26, delayed: 25 });
      assert.equal((await queue.getJobs(['wait'], 0, 9)).length, 10);
      await queue.drain(true);
      assert.equal(await queue.count(), 0);
      await queue.add('c', {});
      await queue.obliterate();
      assert.equal(await queue.count(), 0);
    });
  });
}

describe('BullMQ with the prefix it has by default', () => {
  it('is told to give it a hash tag', { skip: !onCorral }, async () => {
    const queue = new Queue(unique('queue'), { connection: address });
    queue.on('error', () => {});
    await assert.rejects(queue.add('job', {}), (error) => {
      assert.match(error.message, /CROSSSLOT/);
      assert.match(error.message, /hash tag/i);
      assert.match(error.message, /\{bull\}/, 'an example of what to do');
      return true;
    });
    await queue.close().catch(() => {});
  });
});
