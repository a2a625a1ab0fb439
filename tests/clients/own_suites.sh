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
# What a cluster cannot do, and Corral therefore neither, is told by two more: "node", a redis-server in cluster mode that
# owns every slot, and "standalone", Corral in front of one server.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

# Inside of the namespace, with servers on port 6379: own_suites.sh --inside TARGET BINARY COMMAND... -- PATTERNS...
# The command, which ends in the option for its output, runs once for each word of patterns.
inside() {
  local target=$1 binary=$2 status=0 dir command=() unit number=0
  shift 2
  while [[ $1 != -- ]]; do
    command+=("$1")
    shift
  done
  shift
  ip link set lo up
  # shellcheck source=../../config/cluster.sh
  source "$root/config/cluster.sh"
  dir=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder as it is now
  trap "stop_started; rm -rf '$dir'" EXIT
  if [[ $target == redis ]]; then
    start_process "$dir/log" redis-server --port 6379 --dir "$dir" --save '' --appendonly no
  elif [[ $target == node ]]; then
    start_process "$dir/log" redis-server --port 6379 --dir "$dir" --save '' --appendonly no --cluster-enabled yes
    wait_until 15 redis_answers 6379
    redis-cli cluster addslotsrange 0 16383
  elif [[ $target == standalone ]]; then
    start_redis "$dir/redis"
    printf '[upstream]\nmode = "standalone"\n' >"$dir/corral.toml"
    start_process "$dir/log" "$binary" --config "$dir/corral.toml" --listen 127.0.0.1:6379 --upstream "127.0.0.1:$port" \
      --admin ""
  else
    start_cluster "$dir/cluster"
    start_process "$dir/log" "$binary" --listen 127.0.0.1:6379 --upstream "$cluster_addresses" --admin ""
  fi
  wait_for_ping "$target" "$pid" 6379 "$dir/log"
  rm -rf "$target"
  mkdir "$target"
  set -f # the runners expand patterns themselves
  for unit in "$@"; do
    number=$((number + 1))
    # shellcheck disable=SC2086,SC2145  # several patterns; the file is the end of the last word
    "${command[@]}$target/$number.json" $unit || status=$?
  done
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
  sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
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
    # One run for each file but the hundreds of `commands`, since an error outside of a test ends the run.
    if ((!$#)); then
      mapfile -t units < <(cd "$work" && find test/functional -name '*.ts' ! -path '*/commands/*' | sort)
      set -- 'test/functional/commands/*.ts' "${units[@]}"
    fi
    # Left out is one that only keeps the client busy, for longer than a slow machine's timeout, which ends mocha.
    run=(node_modules/.bin/mocha --no-experimental-strip-types --timeout "$timeout_ms" --fgrep 'large pipelines without RangeError'
      --invert --reporter json 'test/helpers/*.ts' --reporter-option output=)
    ;;
  bullmq)
    copy_of scripts src tests package.json 'tsconfig*.json' 'vitest*.ts'
    keep_packages vitest sinon moment rrule progress ioredis typescript ts-node redis pg minimatch fast-glob test-console
    [[ -d $work/src/scripts ]] || (cd "$work" && npx ts-node --project tsconfig-cjs.json scripts/generateRawScripts.ts &&
      node scripts/commandTransform.js ./rawScripts ./src/scripts)
    # What sandboxed workers run is built code. It is written whether or not the types of all packages are known.
    [[ -d $work/dist/cjs ]] || (cd "$work" && npx tsc --project tsconfig-cjs.json >dist.log) || true
    set -- "$*"
    run=(node_modules/.bin/vitest run --no-file-parallelism --testTimeout "$timeout_ms" --hookTimeout "$timeout_ms" --reporter=json
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
  unshare --net "$here/own_suites.sh" --inside "$target" "$binary" "${run[@]}" -- "$@" >"$target.log" 2>&1 || true
done

node - redis node corral standalone <<'END'
const fs = require('fs');
// Mocha's or vitest's report: [title, whether it passed, why not] of each test.
const results = (file) => {
  const report = JSON.parse(fs.readFileSync(file));
  return report.testResults
    ? report.testResults.flatMap((one) => one.assertionResults)
        .filter(({ status }) => status !== 'pending' && status !== 'skipped')
        .map((test) => [test.fullName, test.status === 'passed', test.failureMessages?.[0]])
    : [
        ...report.passes.map((test) => [test.fullTitle, true]),
        ...report.failures.map((test) => [test.fullTitle, false, test.err.message]),
      ];
};
// A test that is run in several files under one title has passed if it passed in all of them.
const resultsOf = (target) => {
  const tests = new Map();
  for (const file of fs.readdirSync(target).sort()) {
    for (const [title, passed, why] of results(`${target}/${file}`)) {
      if (tests.get(title)?.passed !== false) tests.set(title, { passed, why });
    }
  }
  return tests;
};
const [redis, ...others] = process.argv.slice(2).map((target) => [target, fs.existsSync(target) && resultsOf(target)]);
const known = (title) => redis[1] && redis[1].get(title);
for (const [target, tests] of [redis, ...others]) {
  if (tests) console.log(`${target}: ${[...tests.values()].filter(({ passed }) => passed).length} of ${tests.size} pass`);
}
for (const [target, tests] of others) {
  if (!tests) continue;
  const groups = new Map();
  const note = (heading, title) => groups.set(heading, [...(groups.get(heading) ?? []), title]);
  for (const [title, { passed, why }] of tests) {
    if (passed || known(title)?.passed === false) continue;
    note(`only through ${target}: ${`${why}`.split('\n')[0].replace(/0x\w+|\d{3,}/g, 'N')}`, title);
  }
  for (const [title, { passed }] of redis[1] || []) {
    if (!tests.has(title)) note(`not run through ${target}`, title);
    else if (!passed) note(`against redis-server and ${tests.get(title).passed ? 'not ' : ''}through ${target}`, title);
  }
  for (const [heading, titles] of groups) console.log([`\n${titles.length} ${heading}`, ...titles].join('\n    '));
}
END
