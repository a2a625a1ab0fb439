#!/usr/bin/env bash
# Redis' own test suite against Corral: every unit of `runtest` that can run against a server which it did not start.
#
#   tests/redis_suite/run.sh [OPTION]... [SOURCES]
#
# SOURCES is a source tree of Redis 7.0; without it the Debian package's is fetched into a temporary folder, with
# `apt-get source` (no package source needs to be enabled for that, and none is). Options:
#
#   --nodes N         masters that Corral stands in front of (3). `--nodes 1` is the control run: a cluster of one node
#                     without Corral, which is how the suite is meant to be run against a cluster
#   --corral          with `--nodes 1`: Corral in front of it all the same
#   --unit UNIT       only this unit (unit/multi); can be repeated
#   --tags TAGS       leaves out more ("-slow")
#   --out FOLDER      where logs and lists go (a temporary folder)
#   --control FOLDER  the FOLDER of a control run: what passed there and not here is listed too, so that a test that
#                     was not even reached is not overlooked
#
# CORRAL_BINARY (build/corral) is what is tested. TEST_LIMIT (120) is how many seconds a test may take, UNIT_LIMIT (540)
# how many a unit may. Each unit gets new servers and a new Corral, so that it can be repeated alone and leaves nothing
# to the next. Exit status: 0 if all that failed is in expected_failures.txt, 1 if not, 2 if it could not be run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=../../config/cluster.sh
source "$root/config/cluster.sh"

# Left out: what only makes sense with DEBUG (denied by the guard), with replicas of the server under test, or with its
# RDB file. What runtest leaves out by itself for an external server in cluster mode is left out as well.
tags="-needs:debug -needs:repl -needs:save"
test_limit=${TEST_LIMIT:-120}
unit_limit=${UNIT_LIMIT:-540}
corral_binary=${CORRAL_BINARY:-$root/build/corral}
nodes=3 with_corral="" sources="" out="" control="" units=()

die() {
  say "run.sh: $*"
  exit 2
}

parse_arguments() {
  while (($#)); do
    case $1 in
      --nodes) nodes=${2:?} && shift ;;
      --corral) with_corral=yes ;;
      --unit) units+=("${2:?}") && shift ;;
      --tags) tags+=" ${2:?}" && shift ;;
      --out) out=${2:?} && shift ;;
      --control) control=${2:?} && shift ;;
      --help) sed -n '2,/^set /{/^# \{0,1\}/s///p}' "${BASH_SOURCE[0]}" && exit 0 ;;
      -*) die "unknown option $1" ;;
      *) sources=$1 ;;
    esac
    shift
  done
  ((nodes > 1)) && with_corral=yes
  [[ -z $with_corral || -x $corral_binary ]] || die "no program at $corral_binary: build Corral or set CORRAL_BINARY"
}

# The sources as Debian has them, with package sources that exist for this one download only. -> sources
fetch_sources() {
  local apt=$work/apt file
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/sources"
  for file in /etc/apt/sources.list.d/*.sources; do
    sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/parts/${file##*/}"
  done
  if [[ -s /etc/apt/sources.list ]]; then sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$apt/parts/main.list"; fi
  local options=(-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$apt/parts"
    -o "Dir::State::Lists=$apt/lists" -o APT::Sandbox::User=root)
  say "fetching the sources of Redis"
  (apt-get "${options[@]}" update && cd "$apt/sources" && apt-get "${options[@]}" source redis) >"$out/apt.log" 2>&1 ||
    die "apt-get source redis failed, see $out/apt.log"
  sources=$(find "$apt/sources" -mindepth 1 -maxdepth 1 -type d -name 'redis-*')
}

# A copy of what the suite needs, since it writes into its own folder. -> suite
copy_suite() {
  [[ -f $sources/runtest && -d $sources/tests/unit ]] || die "$sources is no source tree of Redis"
  suite=$work/suite
  mkdir -p "$suite/src"
  cp -r "$sources/runtest" "$sources/tests" "$suite"
  local program
  for program in redis-cli redis-benchmark redis-server; do ln -s "$(command -v $program)" "$suite/src/$program"; done
  # The first block of this unit needs no server of its own, unlike the second.
  sed -i '1s/ external:skip//' "$suite/tests/unit/pubsubshard.tcl"
}

# `nodes` masters, and Corral in front of them where it is wanted. -> port
start_servers() {
  local dir=$work/servers i first
  cluster_ports=() started_pids=() taken_ports=()
  rm -rf "$dir"
  for ((i = 0; i < nodes; ++i)); do
    # As in Redis' own runs against an external server, but without DEBUG.
    start_redis "$dir/node-$i" --cluster-enabled yes --cluster-config-file nodes.conf --enable-protected-configs yes \
      --enable-module-command yes || die "a node does not start"
    cluster_ports+=("$port")
    first=$((16384 * i / nodes))
    redis-cli -p "$port" cluster addslotsrange $first $((16384 * (i + 1) / nodes - 1)) >/dev/null
    redis-cli -p "$port" cluster set-config-epoch $((i + 1)) >/dev/null
    if ((i > 0)); then redis-cli -p "$port" cluster meet 127.0.0.1 "${cluster_ports[0]}" >/dev/null; fi
  done
  wait_until 30 cluster_is_ok || die "the cluster does not come up"
  [[ -n $with_corral ]] || return 0
  pick_port
  start_process "$dir/corral.log" "$corral_binary" --config "$here/corral.toml" --listen "127.0.0.1:$port" \
    --upstream "127.0.0.1:${cluster_ports[0]}" --admin ""
  corral_pid=$pid
  wait_for_ping corral "$pid" "$port" "$dir/corral.log" || die "Corral does not start"
}

# The tests of UNIT that expected_failures.txt says are not to be run; "*" is the whole unit.
tests_not_run() {
  awk -F ' [|] ' -v unit="$1" '$1 == unit && $3 ~ /^Not run:/ { print $2 }' "$here/expected_failures.txt"
}

# One run of UNIT, without the tests in `hung`, into LOG. A test that hangs is added to `hung`; status 1 then.
run_once() {
  local unit=$1 log=$2 arguments=() not_run name of_suite
  of_suite=$(pick_port && printf %s "$port")  # in a subshell: `port` stays
  mapfile -t not_run < <(tests_not_run "$unit")
  for name in "${hung[@]}" "${not_run[@]}"; do arguments+=(--skiptest "$name"); done
  (cd "$suite" && TERM=dumb timeout -k 5 "$unit_limit" ./runtest --host 127.0.0.1 --port "$port" --cluster-mode \
    --baseport $((of_suite + 32)) --clients 1 --durable --dont-clean --timeout "$test_limit" --tags "$tags" --single "$unit" "${arguments[@]}") \
    >"$log" 2>&1 </dev/null || true
  name=$(sed -n 's/.*(IN PROGRESS) //p' "$log" | tail -n 1)
  [[ -z $name ]] && return 0
  [[ " ${hung[*]-} " != *" $name "* ]] || return 0
  hung+=("$name")
  return 1
}

# Runs UNIT until no further test hangs; the results, as of results.awk, are appended to results.tsv.
run_unit() {
  local unit=$1 log=$out/${1//\//.}.log round name hung=()
  for round in 1 2 3 4 5; do
    ((round == 1)) || { stop_started && start_servers; }
    run_once "$unit" "$log" && break
  done
  for name in "${hung[@]}"; do printf '%s\thang\t%s\tno end within %s s\n' "$unit" "$name" "$test_limit"; done
  awk -v unit="$unit" -f "$here/results.awk" "$log"
  if [[ -n $with_corral ]] && ! kill -0 "$corral_pid" 2>/dev/null; then
    printf '%s\tcrash\t(Corral)\tCorral ended during this unit\n' "$unit"
    cp "$work/servers/corral.log" "$out/${unit//\//.}.corral.log"
  fi
}

# Whether UNIT ran a test: then the servers are used up.
has_run() { awk -F '\t' -v unit="$1" '$1 == unit && $2 != "ignore" { ran = 1 } END { exit !ran }' "$out/results.tsv"; }

main() {
  parse_arguments "$@"
  work=$(mktemp -d)
  trap 'stop_started; rm -rf "$work"' EXIT
  out=${out:-$(mktemp -d)}
  mkdir -p "$out"
  [[ -n $sources ]] || fetch_sources
  copy_suite
  ((${#units[@]})) || mapfile -t units < <(cd "$suite" && ./runtest --list-tests)
  : >"$out/results.tsv"
  local unit fresh="" seconds
  for unit in "${units[@]}"; do
    if [[ -n $with_corral && $(tests_not_run "$unit") == "*" ]]; then continue; fi
    if [[ -z $fresh ]]; then
      stop_started
      start_servers
    fi
    seconds=$SECONDS
    run_unit "$unit" >>"$out/results.tsv"
    fresh=yes
    if has_run "$unit"; then
      fresh=""
      say "$unit: $((SECONDS - seconds)) s"
    fi
  done
  awk -v expected="$here/expected_failures.txt" -v failed="$out/failed.txt" \
    -v control="${control:+$control/results.tsv}" -f "$here/summary.awk" "$out/results.tsv" ||
    { say "unexpected failures; results, logs and the list of failed tests are in $out" && exit 1; }
  say "results and logs are in $out"
}

main "$@"
