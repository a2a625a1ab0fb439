#!/usr/bin/env bash
# Corral side by side with redis-server and twemproxy, on this machine, with redis-benchmark, and with a load of its own
# where keys are not asked for alike.
#
#   bench/compare.sh [--quick] [--only FILTER] [--servers LIST] [--list]
#
#   --quick        two rounds of few requests: to see that it works, not to measure
#   --only FILTER  some cases: words with commas between them, of get set zipf hot spread, p1 p16 p64 (pipeline), c1 c50
#                  c1000 (connections), d64 d1024 (bytes of a value), idle. Words of one kind add up, kinds narrow
#                  down: `get,p16,p64,c50` is GET at pipeline 16 and 64 with 50 connections. The last three operations
#                  are the hot-key part, at pipeline 1 and 16, with 50 connections and 64 bytes only:
#                    zipf    zipf 0.99 over KEYS keys, 95% GET and 5% SET
#                    hot     GET of one single key
#                    spread  GET over 100 * KEYS keys, all alike, of which each tenth exists: no locality
#   --servers LIST some of redis,twemproxy,corral,ruled,near; redis is always among them. `ruled` is Corral with rules,
#                  one of which gives every key a TTL; `near` is Corral with a near cache for every key (of 64 MiB for
#                  spread). By default: redis,corral,near for the hot-key part, redis,twemproxy,corral for the others
#   --list         tells the plan and ends
#   Environment: ROUNDS (5), REQUESTS (200000, at pipeline 1), KEYS (100000), IDLE (10000), CORRAL (build/corral)
#
# All servers run at once, one of them is asked at a time. In each round each case goes to every server in turn, in an
# order that rotates, and is compared with redis-server's figure of the same round; what is shown is the median over
# the rounds. twemproxy has three plain redis-servers behind it, Corral (one worker) a cluster of three masters.
# CPU is the user and system time of all threads of the server itself, without the servers behind it. `to corral` is the
# ratio of near's CPU to that of corral, whose near cache is off; in spread at most 1.1 is wanted. The hit ratio is of the
# near cache's own counters. Before each measurement near is asked for a quarter of the requests, to be in its stride.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=config/cluster.sh
source "$root/config/cluster.sh"
# shellcheck source=bench/common.sh
source "$here/common.sh"

rounds=${ROUNDS:-5} requests=${REQUESTS:-200000} keys=${KEYS:-100000} idle_count=${IDLE:-10000}
only="" list_only=no idle=yes
servers=(redis twemproxy corral) hot_servers=(redis corral near) all_servers=()
declare -A server_port server_pid
cases=() # "operation pipeline value_bytes connections"

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
        sed -n '2,30s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
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
      twemproxy | corral | ruled | near) servers+=("$name") ;;
      *) die "unknown server $name; there are redis, twemproxy, corral, ruled and near" ;;
    esac
  done
  hot_servers=("${servers[@]}")
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
    [[ $word =~ ^(get|set|zipf|hot|spread|p1|p16|p64|c1|c50|c1000|d64|d1024|idle)$ ]] ||
      die "--only: unknown word $word (--help tells what there is)"
  done
  [[ -n $only && ,$only, != *,idle,* ]] && idle=no
  [[ $only == idle ]] && return
  for size in 64 1024; do
    for pipeline in 1 16 64; do
      for connections in 1 50 1000; do
        for operation in set get; do
          if admits 'get|set|zipf|hot|spread' $operation && admits 'p[0-9]+' p$pipeline && admits 'c[0-9]+' c$connections &&
            admits 'd[0-9]+' d$size; then cases+=("$operation $pipeline $size $connections"); fi
        done
      done
    done
  done
  for operation in zipf hot spread; do
    for pipeline in 1 16; do
      if admits 'get|set|zipf|hot|spread' $operation && admits 'p[0-9]+' p$pipeline && admits 'c[0-9]+' c50 &&
        admits 'd[0-9]+' d64; then cases+=("$operation $pipeline 64 50"); fi
    done
  done
}

is_hot() { [[ $1 == @(zipf|hot|spread)* ]]; }

# The servers that a case is measured on. -> asked
servers_of() { if is_hot "$1"; then asked=("${hot_servers[@]}"); else asked=("${servers[@]}"); fi; }

# Those of any case. -> all_servers
collect_servers() {
  local one name
  for one in "${cases[@]}" $([[ $idle == no ]] || echo idle); do
    servers_of "$one"
    for name in "${asked[@]}"; do [[ " ${all_servers[*]-} " == *" $name "* ]] || all_servers+=("$name"); done
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
    servers_of "$operation"
    total_ms=$((total_ms + rounds * ${#asked[@]} * (count * 1000 / rate + 300)))
  done
  say "Plan: ${#cases[@]} cases, ${#all_servers[@]} servers (${all_servers[*]}), $rounds rounds, about $((total_ms / 60000 + 1)) minutes" \
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
  build "$here" "$root/build/bench-tools" all
  [[ " ${all_servers[*]} " != *" "@(corral|ruled|near)" "* || -n ${CORRAL:-} ]] || build "$root" "$root/build" corral
}

start_servers() {
  local name
  say "Starting the servers ..."
  for name in "${all_servers[@]}"; do
    case $name in
      redis) start_redis "$work_dir/redis" --maxclients 60000 || exit 1 ;;
      twemproxy) start_twemproxy ;;
      corral) start_corral corral "" ;;
      # redis-benchmark's keys are key:000000012345; a hundred rules come before the one that they match.
      ruled) start_corral ruled "$(rules)" ;;
      near)
        start_corral near-spread "$(near_cache 64MiB)"
        server_port[near-spread]=$port server_pid[near-spread]=$pid
        start_corral near "$(near_cache 256MiB)"
        ;;
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

# CPU of all threads so far, in clock ticks: user and system time. The name, in brackets, may hold spaces. -> ticks
read_cpu() {
  local stat
  stat=$(<"/proc/$1/stat") || die "a server has gone"
  read -r -a fields <<<"${stat##*) }"
  ticks=$((fields[11] + fields[12]))
}

# Requests to the nodes and writes to their sockets so far, where the server counts them. -> commands, writes
read_joining() { commands=$(info_of "$1" upstream_commands) writes=$(info_of "$1" upstream_writes); }

# run_benchmark PORT OPERATION PIPELINE SIZE CONNECTIONS COUNT -> rps, p50, p99
run_benchmark() {
  local out line
  if is_hot "$2"; then
    run_skewed "$@"
    return
  fi
  # Without a limit redis-benchmark would try for ever to reach a server that is gone.
  out=$(timeout 600 redis-benchmark -h 127.0.0.1 -p "$1" -t "$2" -P "$3" -d "$4" -c "$5" -n "$6" -r "$keys" --csv \
    2>"$work_dir/benchmark.err") || die "redis-benchmark $* failed: $out $(<"$work_dir/benchmark.err")"
  line=$(sed -n 's/"//g; /^\(GET\|SET\),/p' <<<"$out")
  [[ -n $line ]] || die "redis-benchmark $* gave no result: $out $(<"$work_dir/benchmark.err")"
  IFS=, read -r _ rps _ _ p50 _ p99 _ <<<"$line"
}

# The same for the hot-key part.
run_skewed() {
  local skew=() out
  case $2 in
    zipf) skew=(--skew zipf:0.99 --keys "$keys" --reads 0.95) ;;
    hot) skew=(--skew one --keys "$keys" --reads 1) ;;
    spread) skew=(--skew uniform --keys $((keys * 100)) --reads 1) ;;
  esac
  out=$(skewed_load "$1" "${skew[@]}" --pipeline "$3" --value-bytes "$4" --connections "$5" --requests "$6" --seed $RANDOM) ||
    die "the load $* failed"
  IFS=, read -r rps p50 p99 _ <<<"$out"
}

# Keys with values of SIZE: preload SIZE EVERY KEYS: each EVERYth. The Corrals have one cluster behind them.
preload() {
  local name is_cluster_full=no
  say "Filling the servers with values of $1 bytes ..."
  for name in "${all_servers[@]}"; do
    if [[ $name == @(corral|ruled|near) ]]; then
      [[ $is_cluster_full == no ]] || continue
      is_cluster_full=yes
    fi
    skewed_load "${server_port[$name]}" --keys "$3" --load "$2" --value-bytes "$1" --requests 0 || die "$name could not be filled"
  done
}

# Hits and misses of a near cache so far. -> hits, misses
read_near() { hits=$(info_of "$1" near_cache_hits) misses=$(info_of "$1" near_cache_misses); }

# measure ROUND SERVER CASE. One line of results: round, case, server, requests/s, p50, p99, CPU in us a request, requests
# for each write, hit ratio.
measure() {
  local name=$2 server=$2 operation pipeline size connections before commands_before writes_before joined=- hit_ratio=-
  local commands="" writes="" hits="" misses="" hits_before misses_before
  read -r operation pipeline size connections <<<"$3"
  [[ $name != near || $operation != spread ]] || server=near-spread
  local port=${server_port[$server]} pid=${server_pid[$server]}
  count_for "$pipeline" "$connections"
  if [[ $name == corral ]]; then read_joining "$port"; fi
  if [[ $name == near ]]; then
    run_benchmark "$port" "$operation" "$pipeline" "$size" "$connections" $((count / 4))
    read_near "$port"
  fi
  commands_before=$commands writes_before=$writes hits_before=$hits misses_before=$misses
  read_cpu "$pid"
  before=$ticks
  run_benchmark "$port" "$operation" "$pipeline" "$size" "$connections" "$count"
  read_cpu "$pid"
  if [[ -n $writes_before ]]; then
    read_joining "$port"
    joined=$(quotient $((commands - commands_before)) $((writes - writes_before)) %.1f)
  fi
  if [[ -n $hits_before ]]; then
    read_near "$port"
    hit_ratio=$(quotient $((hits - hits_before)) $((hits - hits_before + misses - misses_before)) %.4f)
  fi
  awk -v OFS='\t' -v ticks=$((ticks - before)) -v hz="$(getconf CLK_TCK)" -v n="$count" \
    -v head="$1	$operation	$pipeline	$size	$connections	$name	$rps	$p50	$p99" -v joined="$joined" -v hit_ratio="$hit_ratio" \
    'BEGIN { print head, ticks / hz / n * 1e6, joined, hit_ratio }' >>"$work_dir/results"
}

quotient() { awk -v a="$1" -v b="$2" -v format="$3" 'BEGIN { if (b) printf format, a / b; else print "-" }'; }

run_rounds() {
  : >"$work_dir/results"
  run_part 64 '^[gs]et [0-9]+ 64 '
  run_part 1024 '^[gs]et [0-9]+ 1024 '
  [[ " ${cases[*]}" != *" spread "* ]] || preload 64 10 $((keys * 100))
  run_part 64 '^(zipf|hot|spread) '
}

# run_part SIZE PATTERN: the cases that match, in all rounds.
run_part() {
  local round i turn loaded=no n
  for ((round = 1; round <= rounds; ++round)); do
    for ((i = 0; i < ${#cases[@]}; ++i)); do
      [[ ${cases[i]} =~ $2 ]] || continue
      [[ $loaded == yes ]] || preload "$1" 1 "$keys"
      loaded=yes
      say "round $round of $rounds, case $((i + 1)) of ${#cases[@]}: ${cases[i]}"
      servers_of "${cases[i]}"
      n=${#asked[@]}
      for ((turn = 0; turn < n; ++turn)); do measure "$round" "${asked[(turn + round + i) % n]}" "${cases[i]}"; done
    done
  done
}

# Memory of an idle connection: a server's resident memory with many of them, less that without.
measure_idle() {
  local name before after
  printf '\n| idle connections: %s | bytes each |\n| --- | ---: |\n' "$idle_count"
  for name in "${servers[@]}"; do
    run_benchmark "${server_port[$name]}" get 1 64 50 5000
    before=$(memory_kib VmRSS "${server_pid[$name]}")
    coproc holder { exec "$root/build/bench-tools/corral_idle_connections" 127.0.0.1 "${server_port[$name]}" "$idle_count" 2>&1; }
    # shellcheck disable=SC2154  # set by coproc
    local holder_pid=$holder_PID line="" to_holder=${holder[1]}
    read -r line <&"${holder[0]}" || true
    [[ $line == ready ]] || die "idle connections to $name: ${line:-they could not be opened}"
    after=$(memory_kib VmRSS "${server_pid[$name]}")
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
collect_servers
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
