// The documents' examples run. Of each fenced block of the README, the recipes and the chapters beside the code:
//
//   toml     is accepted by `corral --check`
//   js       runs against Corral with the README's rules, and prints what stands behind `// ->`, line by line
//   console  `$ redis-cli ...` gives what stands below it, where "..." is any text
//   sh       parses, and the programs of the checkout that it names exist; the quickstart is run
//
// and links lead to files and headings that exist. 127.0.0.1:6380 in the text is the port of the test.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { access, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe } from 'node:test';
import { promisify } from 'node:util';
import { eventually, it, onCorral, startServers } from './support.mjs';

// What Corral explains is not for a plain server.
if (!onCorral) process.exit(0);

const run = promisify(execFile);
const repository = process.env.CORRAL_REPOSITORY ?? join(import.meta.dirname, '../..');
const binary = process.env.CORRAL_BINARY ?? join(repository, 'build/corral');
const names = ['README.md', 'policy/README.md', 'config/README.md', 'proxy/README.md', 'proxy/admin/README.md', 'packaging/README.md',
  'tests/clients/RECIPES.md'];

// { name, text, blocks: [{ kind, text, line }] }
async function readDocument(name) {
  const text = await readFile(join(repository, name), 'utf8');
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map((match) => ({
    kind: match[1],
    text: match[2],
    line: text.slice(0, match.index).split('\n').length,
  }));
  return { name, text, blocks };
}

const documents = await Promise.all(names.map(readDocument));
const blocksOf = (kind) => documents.flatMap(({ name, blocks }) => blocks
  .filter((block) => block.kind === kind)
  .map((block) => ({ ...block, at: `${name}:${block.line}` })));

const directory = await mkdtemp(join(tmpdir(), 'corral-docs-'));
after(() => rm(directory, { recursive: true }));

const rules = blocksOf('toml').find(({ at, text }) => at.startsWith('README.md:') && text.includes('[[rule]]'));
const servers = await startServers(rules.text);
const onOurPort = (text) => text.replaceAll('6380', String(servers.port));

// --- toml ---

// A certificate, a key and an authority for all files that the settings name.
async function makeCertificates() {
  const file = (name) => join(directory, name);
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', '/CN=corral', '-keyout', file('server.key'), '-out', file('server.pem')]);
  for (const name of ['clients-ca.pem', 'redis-ca.pem']) await writeFile(file(name), await readFile(file('server.pem')));
}

describe('settings in the documents', async () => {
  await makeCertificates();
  for (const { text, at } of blocksOf('toml')) {
    it(`are valid at ${at}`, async () => {
      const file = join(directory, `${at.replaceAll(/\W/g, '-')}.toml`);
      await writeFile(file, text.replaceAll('/etc/corral', directory));
      const { stdout } = await run(binary, ['--check', '--config', file]);
      assert.equal(stdout, 'the settings are valid\n');
    });
  }
});

// --- js ---

describe('recipes', { concurrency: 2 }, () => {
  for (const { text, at } of blocksOf('js')) {
    it(`print what they say at ${at}`, async () => {
      // Beside this file, since packages are looked for from there.
      const file = join(import.meta.dirname, `docs-${at.replaceAll(/\W/g, '-')}.mjs`);
      await writeFile(file, onOurPort(text));
      const { stdout } = await run(process.execPath, [file], { timeout: 20_000 }).finally(() => rm(file));
      const expected = [...text.matchAll(/ \/\/ -> (.*)$/gm)].map(([, line]) => line);
      assert.ok(expected.length > 0, 'it prints nothing that could be checked');
      assert.deepEqual(stdout.trimEnd().split('\n'), expected);
    });
  }
});

// --- console ---

// What a person at a terminal sees.
const atTerminal = (command) => onOurPort(command).replace(/^redis-cli /, 'redis-cli --no-raw ');

function assertMatches(got, expected, command) {
  const literally = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = expected.split('...').map(literally).join('.*');
  assert.match(got, new RegExp(`^${pattern}$`), command);
}

describe('commands and their answers', () => {
  for (const { text, at } of blocksOf('console')) {
    it(`are so at ${at}`, async () => {
      for (const example of text.split(/^\$ /m).filter((part) => part !== '')) {
        const [command, ...expected] = example.trimEnd().split('\n');
        const { stdout } = await run('bash', ['-c', atTerminal(command)]);
        assertMatches(stdout.trimEnd().replaceAll('\r', ''), expected.join('\n'), command);
      }
    });
  }
});

// --- sh ---

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

// Runs it until it says that Corral answers, asks Corral, and stops it as Ctrl-C does.
async function quickstart(flags) {
  const port = await freePort();
  const child = spawn(join(repository, 'config/quickstart.sh'), ['--listen', `127.0.0.1:${port}`, '--admin', '', ...flags], {
    env: { ...process.env, CORRAL: binary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  try {
    await eventually('the quickstart says that Corral answers', () => {
      assert.equal(child.exitCode, null, said);
      return said.includes('Ctrl-C stops it.');
    }, 50_000);
    const { stdout } = await run('redis-cli', ['-p', port, 'set', 'quickstart', 'works']);
    assert.equal(stdout, 'OK\n');
  } finally {
    child.kill('SIGINT');
    await eventually('the quickstart has stopped', () => child.exitCode !== null);
  }
  assert.equal(child.exitCode, 0, said);
}

describe('the commands of the shell', () => {
  for (const { text, at } of blocksOf('sh')) {
    it(`exist at ${at}`, async () => {
      await run('bash', ['-n', '-c', text.replaceAll(/\[,HOST:PORT\.\.\.\]|\[SOURCES\]/g, '')]);
      for (const [program] of text.matchAll(/^(config|tests|bench)\/\S+/gm)) {
        await access(join(repository, program), constants.X_OK);
      }
    });
  }

  it('the first of the README brings a cluster and Corral up', async () => {
    assert.equal(blocksOf('sh')[0].text, 'config/quickstart.sh\n');
    await quickstart([]);
  });

  it('the second of the README brings Corral up in front of a cluster', async () => {
    assert.match(blocksOf('sh')[1].text, /^config\/quickstart\.sh --no-cluster --upstream HOST:PORT/);
    await quickstart(['--no-cluster', '--upstream', servers.nodes.map((port) => `127.0.0.1:${port}`).join(',')]);
  });
});

// --- links ---

// As a heading is made into the name of its place.
const place = (heading) => heading.toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-');

it('links lead somewhere', async () => {
  for (const { name, text } of documents) {
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      const [path, heading] = link.split('#');
      const file = path === '' ? join(repository, name) : join(repository, dirname(name), path);
      await access(file);
      if (heading === undefined) continue;
      const headings = [...(await readFile(file, 'utf8')).matchAll(/^#+ (.*)$/gm)].map(([, words]) => place(words));
      assert.ok(headings.includes(heading), `${name}: there is no ${link}`);
    }
  }
});
