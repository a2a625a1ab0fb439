// redis-cli, as people call it: for one command, interactively, and in its special modes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe } from 'node:test';
import { eventually, it, onCorral, range, startServers, unique, uniqueTag, within } from './support.mjs';

const servers = await startServers();
const children = [];
after(() => children.forEach((child) => child.kill()));

// Runs redis-cli, gives what it printed. It must end well.
async function cli(args, input = '') {
  const { child, output, ended } = start(args);
  child.stdin.on('error', () => {}); // it may have ended before it is written to
  child.stdin.end(input);
  const status = await within(ended, `redis-cli ${args.join(' ')}`);
  assert.equal(status, 0, output());
  return output();
}

function start(args, port = servers.port) {
  const child = spawn('redis-cli', ['-p', `${port}`, ...args]);
  children.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  const ended = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  return { child, output: () => text, ended };
}

// The bytes of commands, as --pipe takes them.
function encode(commands) {
  return commands
    .map((args) => `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`)
    .join('');
}

describe('redis-cli', () => {
  it('runs one command', async (t) => {
    const key = unique();
    assert.equal(await cli(['SET', key, 'value', 'EX', '100']), 'OK\n');
    assert.equal(await cli(['GET', key]), 'value\n');
    assert.equal(await cli(['--no-raw', 'GET', 'absent']), '(nil)\n');
    assert.match(await cli(['LPUSH', key, 'x']), /^WRONGTYPE /);
    assert.match(await cli(['NOSUCH']), /^ERR unknown command/);
    assert.equal(await cli(['-x', 'SET', key], 'from the input'), 'OK\n');
    assert.equal(await cli(['-u', servers.url, 'GET', key]), 'from the input\n');
    assert.equal(await cli(['-n', '0', '--json', '-3', 'MGET', key, 'absent']), '["from the input",null]\n');
    const script = join(await mkdtemp(join(tmpdir(), 'corral-')), 'script.lua');
    t.after(() => rm(dirname(script), { recursive: true }));
    await writeFile(script, 'return {KEYS[1], ARGV[1]}');
    assert.equal(await cli(['--eval', script, key, ',', 'a']), `${key}\na\n`);
    assert.equal(await cli(['-r', '3', 'INCR', `${key}n`]), '1\n2\n3\n');
  });

  it('shows the types of RESP3', async () => {
    const tag = uniqueTag();
    await cli(['HSET', `${tag}h`, 'field', 'value']);
    await cli(['ZADD', `${tag}z`, '1.5', 'member']);
    assert.equal(await cli(['-3', '--no-raw', 'HGETALL', `${tag}h`]), '1# "field" => "value"\n');
    assert.equal(await cli(['-3', '--no-raw', 'ZSCORE', `${tag}z`, 'member']), '(double) 1.5\n');
    assert.match(await cli(['-3', '--no-raw', 'HELLO']), /"mode" => "standalone"/);
    assert.match(await cli(['-3', '--no-raw', 'CONFIG', 'GET', 'maxmemory']), /1# "maxmemory" => "0"/);
  });

  it('reads commands from its input', async () => {
    const tag = uniqueTag();
    const input = [`SET ${tag}a "one two"`, `GET ${tag}a`, 'MULTI', `INCR ${tag}n`, `INCR ${tag}n`, 'EXEC', 'PING'].join('\n');
    assert.equal(await cli([], `${input}\n`), 'OK\none two\nOK\nQUEUED\nQUEUED\n1\n2\nPONG\n');
  });

  // With a terminal redis-cli is another program: it asks for COMMAND DOCS, shows hints and the state of a transaction.
  it('talks with a person', async () => {
    const child = spawn('script', ['-qec', `stty cols 200; redis-cli -p ${servers.port}`, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', HOME: '/nonexistent' },
    });
    children.push(child);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk));
    const ended = new Promise((resolve) => child.on('close', resolve));
    const say = async (line, expected) => {
      child.stdin.write(`${line}\r`);
      await eventually(`${expected} after ${line} in ${text}`, () => expected.test(text));
      text = '';
    };
    const tag = uniqueTag();
    await eventually('a prompt', () => text.includes('> '));
    await say(`SET ${tag}a "one two"`, /OK/);
    await say(`GET ${tag}a`, /"one two"/);
    await say('HELP GETRANGE', /substring of the string/i);
    await say('MULTI', /OK.*\(TX\)> /s);
    await say(`INCR ${tag}n`, /QUEUED/);
    await say('EXEC', /\(integer\) 1/);
    await say('HELLO 3', /"proto" => \(integer\) 3/);
    await say(`SUBSCRIBE ${tag}c`, /Reading messages.*subscribe/s);
    assert.equal(await cli(['PUBLISH', `${tag}c`, 'hello']), '1\n');
    await eventually('the message', () => text.includes('hello'));
    child.stdin.write('\x03');
    child.stdin.end();
    child.kill();
    await within(ended, 'the end of redis-cli');
  });

  it('loads many commands with --pipe', async () => {
    const prefix = unique('pipe');
    const keys = range(5000).map((i) => `${prefix}:${i}`);
    const output = await cli(['--pipe'], encode(keys.map((key, i) => ['SET', key, `${i}`])));
    assert.match(output, /errors: 0, replies: 5000/);
    assert.equal(await cli(['GET', keys[4999]]), '4999\n');
    const failed = start(['--pipe']);
    failed.child.stdin.end(encode([['SET', `${prefix}x`, '1'], ['LPUSH', `${prefix}x`, 'y']]));
    assert.equal(await failed.ended, 1);
    assert.match(failed.output(), /WRONGTYPE.*errors: 1, replies: 2/s);
    const seen = await cli(['--scan', '--pattern', `${prefix}:*`]);
    assert.deepEqual(new Set(seen.trim().split('\n')), new Set(keys));
  });

  it('looks for big keys, memory and hot keys', async () => {
    const prefix = unique('big');
    await cli(['SET', `${prefix}:string`, 'x'.repeat(100_000)]);
    await cli(['RPUSH', `${prefix}:list`, ...range(3000).map(String)]);
    await cli(['XADD', `${prefix}:stream`, '*', 'a', 'b']);
    const big = await cli(['--bigkeys']);
    assert.match(big, new RegExp(`Biggest string found .*${prefix}:string.* has 100000 bytes`));
    assert.match(big, new RegExp(`Biggest   list found .*${prefix}:list.* has 3000 items`));
    assert.match(await cli(['--memkeys']), new RegExp(`Biggest string found .*${prefix}:string`));
  });

  it('measures latency', async () => {
    assert.match(await cli(['--latency', '-i', '1', '--raw']), /^\d+ \d+ \d+\.\d+ [1-9]\d*/);
    const stat = start(['--stat', '-i', '0.1']);
    await eventually('a line of numbers', () => /^\d+ +\d+\.\d+[KMG] +\d+ /m.test(stat.output())).finally(() => stat.child.kill());
    await stat.ended;
  });

  it('listens and monitors', async () => {
    const channel = unique('channel');
    const listening = start(['SUBSCRIBE', channel]);
    const watching = start(['MONITOR']);
    await eventually('both are connected', () => listening.output().includes(channel) && watching.output().startsWith('OK'));
    assert.equal(await cli(['PUBLISH', channel, 'hello']), '1\n');
    await eventually('the message', () => listening.output().includes('hello'));
    await eventually('the command', () => new RegExp(`"PUBLISH" "${channel}" "hello"`).test(watching.output()));
    for (const { child, ended } of [listening, watching]) {
      child.kill();
      await ended;
    }
  });

  it('waits in a blocking command', async () => {
    const list = unique('list');
    const waiting = start(['BLPOP', list, '10']);
    await eventually('it waits', async () => /cmd=blpop/i.test(await cli(['CLIENT', 'LIST'])));
    await cli(['RPUSH', list, 'element']);
    await within(waiting.ended, 'BLPOP');
    assert.equal(waiting.output(), `${list}\nelement\n`);
  });

  it('follows a cluster', async () => {
    const cluster = (args) => cli(['-p', `${servers.clusterPort}`, ...args]);
    const key = unique();
    assert.equal(await cluster(['-c', 'SET', key, 'value']), 'OK\n');
    assert.equal(await cluster(['-c', 'GET', key]), 'value\n');
    assert.match(await cluster(['CLUSTER', 'KEYSLOT', '{tag}x']), /^\d+\n$/);
    // The cluster's own tools are for its nodes: Corral says cluster_enabled:0, and they stop there.
    const check = start(['--cluster', 'check', `${servers.host}:${servers.clusterPort}`]);
    const status = await within(check.ended, 'redis-cli --cluster check');
    assert.match(check.output(), onCorral ? /is not configured as a cluster node/ : /All 16384 slots covered/);
    assert.equal(status, onCorral ? 1 : 0);
  });
});
