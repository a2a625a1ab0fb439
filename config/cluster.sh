# shellcheck shell=bash
# To be sourced: throwaway servers on loopback, for the quickstart and the comparison.
#
# Every server that is started here is in `started_pids`, without persistence, in a folder of the caller, out of reach
# of the terminal's Ctrl-C, so that the caller decides in which order they stop. Functions return their results in the
# variables that their comments name, since a subshell could not remember what it started.

started_pids=()
taken_ports=()

say() { printf '%s\n' "$*" >&2; }

# wait_until SECONDS COMMAND...: polls until the command succeeds. Status 1 if the time is over.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# Whether something listens at HOST PORT.
is_listening() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# A port of loopback on which, and 10,000 above which (a cluster node's bus), nobody listens. Both lie below the range
# from which the kernel takes the ports of outgoing connections. -> port
pick_port() {
  local try
  for ((try = 0; try < 200; ++try)); do
    port=$((10000 + RANDOM % 12000))
    [[ " ${taken_ports[*]-} " == *" $port "* || " ${taken_ports[*]-} " == *" $((port + 10000)) "* ]] && continue
    is_listening 127.0.0.1 "$port" || is_listening 127.0.0.1 $((port + 10000)) || {
      taken_ports+=("$port" "$((port + 10000))")
      return 0
    }
  done
  say "no free port was found on 127.0.0.1"
  return 1
}

# start_process LOG COMMAND...: in the background, in a session of its own. -> pid
start_process() {
  local log=$1
  shift
  setsid "$@" >>"$log" 2>&1 </dev/null &
  pid=$!
  started_pids+=("$pid")
}

redis_answers() { [[ $(redis-cli -h "${2:-127.0.0.1}" -p "$1" ping 2>/dev/null) == PONG ]]; }

# Waits for a server to answer PING: NAME PID PORT LOG [HOST]. Shows the end of its log if it died or stays silent.
wait_for_ping() {
  # shellcheck disable=SC2317  # called by wait_until
  settled() { redis_answers "$port_asked" "$host_asked" || ! kill -0 "$pid_asked" 2>/dev/null; }
  local name=$1 pid_asked=$2 port_asked=$3 log=$4 host_asked=${5:-127.0.0.1}
  wait_until 15 settled || true
  redis_answers "$port_asked" "$host_asked" && kill -0 "$pid_asked" 2>/dev/null && return 0
  say "$name does not answer at $host_asked:$port_asked. The end of its log:"
  tail -n 15 "$log" >&2
  return 1
}

# start_redis DIR [OPTION...]: one redis-server on a free port. -> port, pid
start_redis() {
  local dir=$1
  shift
  pick_port || return 1
  mkdir -p "$dir"
  start_process "$dir/log" redis-server --port "$port" --bind 127.0.0.1 --dir "$dir" --save '' --appendonly no "$@"
  wait_for_ping redis-server "$pid" "$port" "$dir/log"
}

cluster_is_ok() {
  local node info
  for node in "${cluster_ports[@]}"; do
    info=$(redis-cli -p "$node" cluster info 2>/dev/null) || return 1
    [[ $info == *cluster_state:ok* && $info == *cluster_known_nodes:${#cluster_ports[@]}* ]] || return 1
  done
}

# start_cluster DIR: a Redis Cluster of three masters. -> cluster_ports, cluster_pids, cluster_addresses (with commas)
start_cluster() {
  local dir=$1 i
  cluster_ports=() cluster_pids=() cluster_addresses=""
  for i in 1 2 3; do
    start_redis "$dir/node-$i" --cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 5000 ||
      return 1
    cluster_ports+=("$port")
    cluster_pids+=("$pid")
    cluster_addresses+="${cluster_addresses:+,}127.0.0.1:$port"
  done
  # shellcheck disable=SC2086  # one word for each address
  redis-cli --cluster create ${cluster_addresses//,/ } --cluster-yes >"$dir/create.log" 2>&1 </dev/null || {
    say "redis-cli could not make the cluster:"
    tail -n 15 "$dir/create.log" >&2
    return 1
  }
  wait_until 30 cluster_is_ok && return 0
  say "the cluster did not come up: not all of ${cluster_addresses} say cluster_state:ok"
  return 1
}

# Stops what was started here, the last first, and waits for it; what does not go within fifteen seconds is killed.
stop_started() {
  local i pid_to_stop
  for ((i = ${#started_pids[@]} - 1; i >= 0; --i)); do
    pid_to_stop=${started_pids[i]}
    kill -TERM "$pid_to_stop" 2>/dev/null || continue
    timeout 15 tail --pid="$pid_to_stop" -s 0.05 -f /dev/null || kill -KILL "$pid_to_stop" 2>/dev/null || true
    wait "$pid_to_stop" 2>/dev/null || true
  done
  started_pids=()
}
