#!/usr/bin/env bash
# The clients' own test suites against Corral, compared with a single redis-server. Not part of the tests: it takes many
# minutes, and needs a checkout of the client's sources, since what npm has comes without tests.
#
#   own_suites.sh ioredis|bullmq CHECKOUT [PATTERN...]
#
# CHECKOUT is a work tree; it is copied, not changed. PATTERNs choose test files (all of the functional ones otherwise).
# The suites want port 6379 of localhost, so everything runs in a network namespace of its own (as root). Environment:
# CORRAL_BINARY is the program (build/corral); WORK the folder for the copy and the results (build/own_suites);
# TEST_TIMEOUT_MS, generous for slow machines (20000); TARGETS ("redis corral"), of which one alone can be run anew.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

# Inside of the namespace: own_suites.sh --inside TARGET BINARY COMMAND... with servers on port 6379.
inside() {
  local target=$1 binary=$2 status=0 dir
  shift 2
  ip link set lo up
  # shellcheck source=../../config/cluster.sh
  source "$root/config/cluster.sh"
  dir=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder as it is now
  trap "stop_started; rm -rf '$dir'" EXIT
  if [[ $target == redis ]]; then
    start_process "$dir/log" redis-server --port 6379 --dir "$dir" --save '' --appendonly no
  else
    start_cluster "$dir/cluster"
    start_process "$dir/log" "$binary" --listen 127.0.0.1:6379 --upstream "$cluster_addresses" --admin ""
  fi
  wait_for_ping "$target" "$pid" 6379 "$dir/log"
  "$@" || status=$?
  if ! redis_answers 6379; then
    say "$target does not answer any more. The end of its log:"
    tail -n 30 "$dir/log" >&2
    status=3
  fi
  return "$status"
}

if [[ ${1:-} == --inside ]]; then
  shift
  inside "$@"
  exit
fi

if (($# < 2)) || [[ $1 == -* ]]; then
  sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
suite=$1 checkout=$2
shift 2
binary=${CORRAL_BINARY:-$root/build/corral}
timeout_ms=${TEST_TIMEOUT_MS:-20000}
work=${WORK:-$root/build/own_suites}/$suite
mkdir -p "$work"

# copy_of FOLDERS_AND_FILES...: the parts of the checkout that its tests need, without the development tools that they do
# not, so that little is installed.
copy_of() {
  [[ -e $work/package.json ]] && return 0
  local part
  for part in "$@"; do
    # shellcheck disable=SC2086  # a pattern
    (cd "$checkout" && cp -r --parents $part "$work")
  done
}

# keep_packages NAMES...: of the development dependencies only these are installed.
keep_packages() {
  [[ -e $work/node_modules ]] && return 0
  (cd "$work" && node - "$@" && npm install --ignore-scripts --no-package-lock --no-audit --legacy-peer-deps) <<'END'
const fs = require('fs');
const json = JSON.parse(fs.readFileSync('package.json'));
for (const name of Object.keys(json.devDependencies)) {
  if (!process.argv.includes(name)) delete json.devDependencies[name];
}
json.scripts = {};
fs.writeFileSync('package.json', JSON.stringify(json, null, 2));
END
}

export TS_NODE_TRANSPILE_ONLY=true NODE_ENV=test BULLMQ_TEST_PREFIX='{bull}' REDIS_HOST=127.0.0.1
case $suite in
  ioredis)
    copy_of bin lib test package.json tsconfig.json
    keep_packages chai chai-as-promised mocha server-destroy sinon ts-node typescript uuid
    (($#)) || set -- 'test/functional/**/*.ts'
    # Left out is one that only keeps the client busy, for longer than a slow machine's timeout, which ends mocha.
    run=(npx mocha --no-experimental-strip-types --timeout "$timeout_ms" --fgrep 'large pipelines without RangeError'
      --invert --reporter json 'test/helpers/*.ts' "$@" --reporter-option output=)
    ;;
  bullmq)
    copy_of scripts src tests package.json 'tsconfig*.json' 'vitest*.ts'
    keep_packages vitest sinon moment rrule progress ioredis typescript ts-node redis pg minimatch fast-glob test-console
    [[ -d $work/src/scripts ]] || (cd "$work" && npx ts-node --project tsconfig-cjs.json scripts/generateRawScripts.ts &&
      node scripts/commandTransform.js ./rawScripts ./src/scripts)
    run=(npx vitest run --no-file-parallelism --testTimeout "$timeout_ms" --hookTimeout "$timeout_ms" --reporter=json "$@"
      --outputFile=)
    ;;
  *)
    echo "own_suites.sh: there is no suite '$suite'; there are ioredis and bullmq" >&2
    exit 2
    ;;
esac

cd "$work"
for target in ${TARGETS:-redis corral}; do
  echo "Running the tests of $suite against $target" >&2
  command=("${run[@]}")
  command[-1]+="$work/$target.json"
  unshare --net "$here/own_suites.sh" --inside "$target" "$binary" "${command[@]}" >"$target.log" 2>&1 || true
done

node - redis.json corral.json <<'END'
const fs = require('fs');
// Mocha's and vitest's reports: [title, whether it passed, why not].
const results = (file) => {
  const report = JSON.parse(fs.readFileSync(file));
  const list = report.testResults
    ? report.testResults.flatMap((one) => one.assertionResults)
        .filter(({ status }) => status !== 'pending' && status !== 'skipped')
        .map((test) => [test.fullName, test.status === 'passed', test.failureMessages?.[0]])
    : [
        ...report.passes.map((test) => [test.fullTitle, true]),
        ...report.failures.map((test) => [test.fullTitle, false, test.err.message]),
      ];
  return new Map(list.map(([title, passed, why]) => [title, { passed, why }]));
};
const all = process.argv.slice(2).filter((file) => fs.existsSync(file)).map((file) => [file.split('.')[0], results(file)]);
for (const [target, tests] of all) {
  console.log(`${target}: ${[...tests.values()].filter(({ passed }) => passed).length} of ${tests.size} pass`);
}
if (all.length < 2) process.exit();
const [redis, corral] = all.map(([, tests]) => tests);
const groups = new Map();
const note = (heading, title) => groups.set(heading, [...(groups.get(heading) ?? []), title]);
for (const [title, { passed, why }] of corral) {
  if (passed || redis.get(title)?.passed === false) continue;
  note(`only through Corral: ${`${why}`.split('\n')[0].replace(/0x\w+|\d{3,}/g, 'N')}`, title);
}
for (const [title, { passed }] of redis) {
  if (!corral.has(title)) note('not run through Corral', title);
  else if (!passed) note(corral.get(title).passed ? 'only against redis-server' : 'against both', title);
}
for (const [heading, titles] of groups) console.log([`\n${titles.length} ${heading}`, ...titles].join('\n    '));
END
