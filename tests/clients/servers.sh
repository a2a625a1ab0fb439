#!/usr/bin/env bash
# The servers that one test file talks to: a Redis Cluster of three masters with Corral in front of it (`rules`: with a rule
# that gives every key a TTL), or, with the argument `redis`, what the same tests must pass against to be worth anything: one
# plain redis-server, and a cluster of one node for clients in cluster mode.
#
#   servers.sh corral|rules|redis REPOSITORY CORRAL_BINARY [SETTINGS [FLAG...]]
#
# SETTINGS are more lines of Corral's settings file, FLAGs more of its flags. Prints one line of JSON once they serve. Ends, and all of them with it,
# when its standard input does, so that nothing is left behind by a test that is killed.
set -euo pipefail

target=$1 repository=$2 corral=$3 settings=${4-} flags=("${@:5}")
# shellcheck source=../../config/cluster.sh
source "$repository/config/cluster.sh"

work_dir=$(mktemp -d)
# shellcheck disable=SC2317  # called by a trap
clean_up() {
  trap '' INT TERM PIPE
  stop_started
  rm -rf "$work_dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

redis_options=(--notify-keyspace-events "" --latency-monitor-threshold 0)

# -> corral_port
start_corral() {
  pick_port
  corral_port=$port
  printf '%s\n' "$settings" >"$work_dir/corral.toml"
  [[ $target != rules ]] || printf '[[rule]]\nmatch = ["*"]\nttl = { default = "10m", jitter = 0 }\n' >>"$work_dir/corral.toml"
  start_process "$work_dir/corral.log" "$corral" --config "$work_dir/corral.toml" --listen "127.0.0.1:$port" --upstream "$cluster_addresses" --admin "" \
    --workers 2 "${flags[@]}"
  corral_pid=$pid
  wait_for_ping Corral "$pid" "$port" "$work_dir/corral.log"
}

# A cluster of one node, which owns every slot. -> lone_port
start_lone_node() {
  start_redis "$work_dir/lone" --cluster-enabled yes --cluster-config-file nodes.conf --cluster-announce-ip 127.0.0.1 \
    "${redis_options[@]}"
  lone_port=$port
  redis-cli -p "$lone_port" cluster addslotsrange 0 16383 >/dev/null
  cluster_ports=("$lone_port")
  wait_until 30 cluster_is_ok
}

case $target in
  corral | rules)
    start_cluster "$work_dir/cluster"
    start_corral
    printf '{"port":%d,"clusterPort":%d,"nodes":[%d,%d,%d],"log":"%s"}\n' "$corral_port" "$corral_port" \
      "${cluster_ports[@]}" "$work_dir/corral.log"
    ;;
  redis)
    start_redis "$work_dir/redis" "${redis_options[@]}"
    plain_port=$port
    start_lone_node
    printf '{"port":%d,"clusterPort":%d,"nodes":[%d],"log":"%s"}\n' "$plain_port" "$lone_port" "$plain_port" \
      "$work_dir/redis/log"
    ;;
  *)
    say "servers.sh: the target is '$target'; it must be corral, rules or redis"
    exit 2
    ;;
esac

cat >/dev/null || true
[[ $target == redis ]] || kill -0 "$corral_pid" 2>/dev/null || {
  say "Corral ended before the tests did. The end of its log:"
  tail -n 30 "$work_dir/corral.log" >&2
  exit 1
}
