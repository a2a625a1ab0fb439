#!/usr/bin/env bash
# What the page's tests look at: a Redis Cluster of three masters, the first of which has a replica, with two Corrals in
# front of it, of which the second wants a token.
#
#   servers.sh corral REPOSITORY CORRAL_BINARY SETTINGS
#
# SETTINGS are more lines of Corral's settings file. Prints one line of JSON once they serve. Ends, and all of them with
# it, when its standard input does.
set -euo pipefail

repository=$2 corral=$3 settings=$4
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

node_says() { [[ $(redis-cli -p "$1" "${@:3}" 2>/dev/null) == *$2* ]]; }

# Of the first master. -> replica_port
start_replica() {
  local id
  start_redis "$work_dir/replica" --cluster-enabled yes --cluster-config-file nodes.conf
  replica_port=$port
  id=$(redis-cli -p "${cluster_ports[0]}" cluster myid)
  redis-cli -p "$replica_port" cluster meet 127.0.0.1 "${cluster_ports[0]}" >/dev/null
  wait_until 15 node_says "$replica_port" "$id" cluster nodes
  redis-cli -p "$replica_port" cluster replicate "$id" >/dev/null
  wait_until 15 node_says "$replica_port" master_link_status:up info replication
  cluster_ports+=("$replica_port")
  wait_until 15 cluster_is_ok
  for port in "${cluster_ports[@]}"; do
    wait_until 15 node_says "$port" "slave $id" cluster nodes
    redis-cli -p "$port" config set cluster-node-timeout 1500 >/dev/null
  done
}

# start_corral NAME TOKEN -> corral_port, admin_port
start_corral() {
  pick_port
  corral_port=$port
  pick_port
  admin_port=$port
  printf '[server]\nadmin_token = "%s"\n%s\n' "$2" "$settings" >"$work_dir/$1.toml"
  start_process "$work_dir/$1.log" "$corral" --config "$work_dir/$1.toml" --listen "127.0.0.1:$corral_port" \
    --admin "127.0.0.1:$admin_port" --upstream "$cluster_addresses" --workers 2
  wait_for_ping Corral "$pid" "$corral_port" "$work_dir/$1.log"
}

start_cluster "$work_dir/cluster"
start_replica
start_corral closed s3cret
closed_admin=$admin_port
start_corral open ""
printf '{"port":%d,"admin":%d,"closedAdmin":%d,"nodes":[%d,%d,%d],"replica":%d,"masterPid":%d}\n' \
  "$corral_port" "$admin_port" "$closed_admin" "${cluster_ports[@]:0:3}" "$replica_port" "${cluster_pids[0]}"

cat >/dev/null || true
