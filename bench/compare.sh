#!/usr/bin/env bash
# Corral side by side with redis-server and twemproxy, on this machine, with redis-benchmark.
#
#   bench/compare.sh [--quick] [--only FILTER] [--servers LIST] [--list]
#
#   --quick        two rounds of few requests: to see that it works, not to measure
#   --only FILTER  some cases: words with commas between them, of get set, p1 p16 p64 (pipeline), c1 c50 c1000
#                  (connections), d64 d1024 (bytes of a value), idle. Words of one kind add up, kinds narrow down:
#                  `get,p16,p64,c50` is GET at pipeline 16 and 64 with 50 connections.
#   --servers LIST some of redis,twemproxy,corral,ruled; redis is always among them. `ruled` is Corral with rules, one
#                  of which gives every key a TTL; it is not among them by default
#   --list         tells the plan and ends
#   Environment: ROUNDS (5), REQUESTS (200000, at pipeline 1), KEYS (100000), IDLE (10000), CORRAL (build/corral)
#
# All servers run at once, one of them is asked at a time. In each round each case goes to every server in turn, in an
# order that rotates, and is compared with redis-server's figure of the same round; what is shown is the median over
# the rounds. twemproxy has three plain redis-servers behind it, Corral (one worker) a cluster of three masters.
# CPU is the user and system time of all threads of the server itself, without the servers behind it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=config/cluster.sh
source "$root/config/cluster.sh"

rounds=${ROUNDS:-5} requests=${REQUESTS:-200000} keys=${KEYS:-100000} idle_count=${IDLE:-10000}
only="" list_only=no idle=yes
servers=(redis twemproxy corral)
declare -A server_port server_pid
cases=() # "operation pipeline value_bytes connections"

die() {
  say "compare: $*"
  exit 1
}

parse_arguments() {
  while (($#)); do
    case $1 in
      --quick) rounds=${ROUNDS:-2} requests=${REQUESTS:-20000} keys=${KEYS:-10000} idle_count=${IDLE:-2000} ;;
      --list) list_only=yes ;;
      --only | --servers)
        (($# > 1)) || die "$1 wants a value"
        if [[ $1 == --only ]]; then only=$2; else choose_servers "$2"; fi
        shift
        ;;
      -h | --help)
        sed -n '2,19s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      *) die "unknown argument $1 (--help tells what there is)" ;;
    esac
    shift
  done
}

choose_servers() {
  servers=(redis)
  local name
  for name in ${1//,/ }; do
    case $name in
      redis) ;;
      twemproxy | corral | ruled) servers+=("$name") ;;
      *) die "unknown server $name; there are redis, twemproxy, corral and ruled" ;;
    esac
  done
}

# Whether the filter has no word of the kind PATTERN, or has WORD.
admits() {
  local word any=no
  for word in ${only//,/ }; do
    [[ $word == "$2" ]] && return 0
    [[ $word =~ ^($1)$ ]] && any=yes
  done
  [[ $any == no ]]
}

make_plan() {
  local word operation pipeline size connections
  for word in ${only//,/ }; do
    [[ $word =~ ^(get|set|p1|p16|p64|c1|c50|c1000|d64|d1024|idle)$ ]] ||
      die "--only: unknown word $word (--help tells what there is)"
  done
  [[ -n $only && ,$only, != *,idle,* ]] && idle=no
  [[ $only == idle ]] && return
  for size in 64 1024; do
    for pipeline in 1 16 64; do
      for connections in 1 50 1000; do
        for operation in set get; do
          if admits 'get|set' $operation && admits 'p[0-9]+' p$pipeline && admits 'c[0-9]+' c$connections &&
            admits 'd[0-9]+' d$size; then cases+=("$operation $pipeline $size $connections"); fi
        done
      done
    done
  done
}

# Requests of one run of a case: more where they are cheap, so that all runs take about as long. -> count
count_for() {
  local pipeline=$1 connections=$2
  count=$((pipeline == 1 ? requests : pipeline == 16 ? requests * 4 : requests * 6))
  ((connections > 1)) || count=$((count / 3))
}

tell_plan() {
  local one operation pipeline size connections total_ms=0 rate
  for one in "${cases[@]-}"; do
    [[ -n $one ]] || continue
    read -r operation pipeline size connections <<<"$one"
    count_for "$pipeline" "$connections"
    # A guess at requests a second, only to tell how long all of it will take.
    rate=$((pipeline == 1 ? 50000 : pipeline == 16 ? 250000 : 400000))
    ((connections > 1)) || rate=$((rate / 3))
    total_ms=$((total_ms + rounds * ${#servers[@]} * (count * 1000 / rate + 300)))
  done
  say "Plan: ${#cases[@]} cases, ${#servers[@]} servers (${servers[*]}), $rounds rounds, about $((total_ms / 60000 + 1)) minutes" \
    "$([[ $idle == yes ]] && echo "; then $idle_count idle connections to each")"
}

prepare() {
  "$root/config/install-deps.sh" bench
  ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
  local open_files
  open_files=$(ulimit -n)
  ((idle_count + 1000 <= open_files)) || {
    idle_count=$((open_files - 1000))
    say "Only $open_files files may be open here: $idle_count idle connections instead"
  }
  corral=${CORRAL:-$root/build/corral}
  build "$here" "$root/build/bench-tools" corral_idle_connections
  [[ " ${servers[*]} " != *" "@(corral|ruled)" "* || -n ${CORRAL:-} ]] || build "$root" "$root/build" corral
}

build() {
  {
    cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Release && ninja -C "$2" -j "${JOBS:-2}" "$3"
  } >"$work_dir/build.log" 2>&1 && return
  tail -n 40 "$work_dir/build.log" >&2
  die "the build failed"
}

start_servers() {
  local name
  say "Starting the servers ..."
  for name in "${servers[@]}"; do
    case $name in
      redis) start_redis "$work_dir/redis" --maxclients 60000 || exit 1 ;;
      twemproxy) start_twemproxy ;;
      corral) start_corral corral "" ;;
      # redis-benchmark's keys are key:000000012345; a hundred rules come before the one that they match.
      ruled) start_corral ruled "$(rules)" ;;
    esac
    server_port[$name]=$port server_pid[$name]=$pid
  done
}

start_twemproxy() {
  local i backends="" dir=$work_dir/twemproxy stats_port
  mkdir -p "$dir"
  for i in 1 2 3; do
    start_redis "$dir/backend-$i" || exit 1
    backends+="   - 127.0.0.1:$port:1"$'\n'
  done
  pick_port && stats_port=$port && pick_port
  printf 'pool:\n  listen: 127.0.0.1:%s\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n  backlog: 1024\n  servers:\n%s' \
    "$port" "$backends" >"$dir/pool.yml"
  start_process "$dir/log" nutcracker -c "$dir/pool.yml" -a 127.0.0.1 -s "$stats_port" -o "$dir/log" -p "$dir/pid"
  wait_for_ping twemproxy "$pid" "$port" "$dir/log" || exit 1
}

rules() {
  local i
  for ((i = 0; i < 100; ++i)); do printf '[[rule]]\nmatch = "other:%s:*"\n' "$i"; done
  printf '[[rule]]\nmatch = "*"\nttl = { default = "1h" }\n'
}

# start_corral NAME RULES
start_corral() {
  [[ -n ${cluster_addresses-} ]] || start_cluster "$work_dir/cluster" || exit 1
  pick_port
  printf '[server]\nmax_clients = 60000\n%s' "$2" >"$work_dir/$1.toml"
  start_process "$work_dir/$1.log" "$corral" --config "$work_dir/$1.toml" --workers 1 \
    --listen "127.0.0.1:$port" --upstream "$cluster_addresses"
  wait_for_ping Corral "$pid" "$port" "$work_dir/$1.log" || exit 1
}

# CPU of all threads so far, in clock ticks: user and system time. The name, in brackets, may hold spaces. -> ticks
read_cpu() {
  local stat
  stat=$(<"/proc/$1/stat") || die "a server has gone"
  read -r -a fields <<<"${stat##*) }"
  ticks=$((fields[11] + fields[12]))
}

# Requests to the nodes and writes to their sockets so far, where the server counts them. -> commands, writes
read_joining() {
  local info
  info=$(redis-cli -p "$1" info 2>/dev/null | tr -d '\r') || true
  commands=$(sed -n 's/^upstream_commands://p' <<<"$info") writes=$(sed -n 's/^upstream_writes://p' <<<"$info")
}

# run_benchmark PORT OPERATION PIPELINE SIZE CONNECTIONS COUNT -> rps, p50, p99
run_benchmark() {
  local out line
  # Without a limit redis-benchmark would try for ever to reach a server that is gone.
  out=$(timeout 600 redis-benchmark -h 127.0.0.1 -p "$1" -t "$2" -P "$3" -d "$4" -c "$5" -n "$6" -r "$keys" --csv \
    2>"$work_dir/benchmark.err") || die "redis-benchmark $* failed: $out $(<"$work_dir/benchmark.err")"
  line=$(sed -n 's/"//g; /^\(GET\|SET\),/p' <<<"$out")
  [[ -n $line ]] || die "redis-benchmark $* gave no result: $out $(<"$work_dir/benchmark.err")"
  IFS=, read -r _ rps _ _ p50 _ p99 _ <<<"$line"
}

# All keys with values of SIZE, so that every GET hits but a few in a hundred thousand.
preload() {
  local name
  say "Filling the servers with values of $1 bytes ..."
  for name in "${servers[@]}"; do run_benchmark "${server_port[$name]}" set 64 "$1" 50 $((keys * 10)); done
}

# One line of results: round, case, server, requests/s, p50, p99, CPU in us a request, requests for each write.
measure() {
  local round=$1 name=$2 operation pipeline size connections before commands_before writes_before joined=-
  read -r operation pipeline size connections <<<"$3"
  count_for "$pipeline" "$connections"
  [[ $name == corral ]] && read_joining "${server_port[corral]}"
  commands_before=${commands:-} writes_before=${writes:-}
  read_cpu "${server_pid[$name]}"
  before=$ticks
  run_benchmark "${server_port[$name]}" "$operation" "$pipeline" "$size" "$connections" "$count"
  read_cpu "${server_pid[$name]}"
  if [[ $name == corral && -n $writes_before ]]; then
    read_joining "${server_port[corral]}"
    joined=$(awk -v c=$((commands - commands_before)) -v w=$((writes - writes_before)) \
      'BEGIN { if (w) printf "%.1f", c / w; else print "-" }')
  fi
  awk -v OFS='\t' -v ticks=$((ticks - before)) -v hz="$(getconf CLK_TCK)" -v n="$count" \
    -v head="$round	$operation	$pipeline	$size	$connections	$name	$rps	$p50	$p99" -v joined="$joined" \
    'BEGIN { print head, ticks / hz / n * 1e6, joined }' >>"$work_dir/results"
}

run_rounds() {
  local round i turn one size loaded="" n=${#servers[@]}
  : >"$work_dir/results"
  for size in 64 1024; do
    for ((round = 1; round <= rounds; ++round)); do
      for ((i = 0; i < ${#cases[@]}; ++i)); do
        one=${cases[i]}
        [[ $one == *" $size "* && $one =~ ^[a-z]+\ [0-9]+\ $size\  ]] || continue
        [[ $loaded == "$size" ]] || preload "$size"
        loaded=$size
        say "values of $size bytes, round $round of $rounds, case $((i + 1)) of ${#cases[@]}: $one"
        for ((turn = 0; turn < n; ++turn)); do
          measure "$round" "${servers[(turn + round + i) % n]}" "$one"
        done
      done
    done
  done
}

resident_kib() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }

# Memory of an idle connection: a server's resident memory with many of them, less that without.
measure_idle() {
  local name before after
  printf '\n| idle connections: %s | bytes each |\n| --- | ---: |\n' "$idle_count"
  for name in "${servers[@]}"; do
    run_benchmark "${server_port[$name]}" get 1 64 50 5000
    before=$(resident_kib "${server_pid[$name]}")
    coproc holder { exec "$root/build/bench-tools/corral_idle_connections" 127.0.0.1 "${server_port[$name]}" "$idle_count" 2>&1; }
    # shellcheck disable=SC2154  # set by coproc
    local holder_pid=$holder_PID line="" to_holder=${holder[1]}
    read -r line <&"${holder[0]}" || true
    [[ $line == ready ]] || die "idle connections to $name: ${line:-they could not be opened}"
    after=$(resident_kib "${server_pid[$name]}")
    exec {to_holder}>&-
    wait "$holder_pid"
    printf '| %s | %s |\n' "$name" $(((after - before) * 1024 / idle_count))
  done
}

tell_circumstances() {
  printf '# Corral beside redis-server and twemproxy\n\n'
  printf 'Commit %s, %s cores of %s, %s, %s, %s rounds, %s keys.\n' \
    "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)" "$(nproc)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    "$(redis-server --version | sed 's/ sha=.*//')" "$(nutcracker --version 2>&1 | grep -o 'nutcracker-[0-9.]*')" \
    "$rounds" "$keys"
  printf 'Ratios are to redis-server in the same round; all figures are medians over the rounds.\n\n'
}

# shellcheck disable=SC2317  # called by a trap
clean_up() {
  trap '' INT TERM
  stop_started
  rm -rf "$work_dir"
}

parse_arguments "$@"
make_plan
tell_plan
[[ $list_only == yes ]] && {
  printf '%s\n' "${cases[@]-}"
  exit 0
}
((${#cases[@]})) || [[ $idle == yes ]] || die "no case is left by --only $only"
work_dir=$(mktemp -d "${TMPDIR:-/tmp}/corral-compare.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
prepare
start_servers
((${#cases[@]} == 0)) || run_rounds
tell_circumstances
((${#cases[@]} == 0)) || awk -f "$here/compare.awk" "$work_dir/results"
[[ $idle == no ]] || measure_idle
