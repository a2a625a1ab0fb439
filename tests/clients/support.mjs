// What all test files share: the servers, fresh key names, waiting for a condition, and clients that are closed after
// the test that opened them.
//
// Environment: CORRAL_BINARY is the program under test; CORRAL_REPOSITORY the checkout (found from CMake, or this file's
// own place); CORRAL_CLIENTS_TARGET=redis runs the tests against a plain redis-server, as a control of the tests,
// =rules with a rule that gives every key a TTL.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, it as nodeIt } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const repository = process.env.CORRAL_REPOSITORY ?? fileURLToPath(new URL('../..', import.meta.url));
const binary = process.env.CORRAL_BINARY ?? `${repository}/build/corral`;

export const target = process.env.CORRAL_CLIENTS_TARGET ?? 'corral';
// Some things only a cluster refuses, and only Corral explains.
export const onCorral = target !== 'redis';

// Starts the servers of this test file and stops them after its last test. `port` is for plain clients, `clusterPort` for
// those in cluster mode, `nodes` are the Redis servers themselves. `settings` are Corral's, in TOML, `flags` more of its flags,
// `script` is what starts them, which may tell of more.
export async function startServers(settings = '', flags = [], script = 'tests/clients/servers.sh') {
  const child = spawn(`${repository}/${script}`, [target, repository, binary, settings, ...flags], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), ended]);
  if (child.exitCode !== null || child.signalCode !== null) throw new Error('the servers did not start');
  after(async () => {
    child.stdin.end();
    const [status] = await ended;
    // What a failed test left open must not hold up the end.
    setTimeout(() => process.exit(), 3000).unref();
    assert.equal(status, 0, 'the servers did not end well; see above');
  });
  const told = JSON.parse(first[0]);
  return { ...told, host: '127.0.0.1', url: `redis://127.0.0.1:${told.port}` };
}

// A test that fails, rather than holds up all others, if it hangs.
export function it(name, ...optionsAndBody) {
  const body = optionsAndBody.pop();
  nodeIt(name, { timeout: 60_000, ...optionsAndBody[0] }, body);
}

// A name that no other test has.
export function unique(name = 'key') {
  return `${name}-${randomBytes(6).toString('hex')}`;
}

// The same with a hash tag, for keys that belong together: `${tag}:a` and `${tag}:b` share a slot.
export function uniqueTag(name = 'tag') {
  return `{${unique(name)}}`;
}

// Waits until `probe` gives something truthy, and returns that. What it throws is thrown on once the time is over.
export async function eventually(what, probe, timeoutMs = 20_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let failure;
    try {
      const result = await probe();
      if (result) return result;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline) throw failure ?? new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(10);
  }
}

// A promise with its handles outside, for events that a test waits for.
export function deferred() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}

// Rejects unless `promise` settles in time, so that a test that would hang says for what it waited.
export async function within(promise, what, timeoutMs = 20_000) {
  const giveUp = new AbortController();
  const timer = sleep(timeoutMs, undefined, { signal: giveUp.signal }).then(
    () => Promise.reject(new Error(`not within ${timeoutMs} ms: ${what}`)),
    () => {},
  );
  try {
    return await Promise.race([promise, timer]);
  } finally {
    giveUp.abort();
  }
}

export function range(count) {
  return Array.from({ length: count }, (_, i) => i);
}

export { sleep };
