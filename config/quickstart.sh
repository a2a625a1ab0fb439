#!/usr/bin/env bash
# From a checkout to a running Corral, in one command.
#
#   config/quickstart.sh [--listen HOST:PORT] [--admin HOST:PORT]
#       installs what is missing, builds, starts a throwaway Redis Cluster of three masters on loopback, and Corral
#       in front of it; Ctrl-C stops all of it and leaves nothing behind.
#   config/quickstart.sh --no-cluster --upstream HOST:PORT[,HOST:PORT...] [--listen HOST:PORT] [--admin HOST:PORT]
#       the same in front of a cluster that is there already.
#
# CORRAL=/path/to/corral runs that program and builds nothing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=config/cluster.sh
source "$here/cluster.sh"

listen=127.0.0.1:6380
admin=127.0.0.1:9380
upstream=""
with_cluster=yes
work_dir=""

die() {
  say "quickstart: $*"
  exit 1
}

parse_arguments() {
  while (($#)); do
    case $1 in
      --listen | --upstream | --admin)
        (($# > 1)) || die "$1 wants a value"
        declare -g "${1#--}=$2"
        shift
        ;;
      --no-cluster) with_cluster=no ;;
      -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      *) die "unknown argument $1 (--help tells what there is)" ;;
    esac
    shift
  done
  [[ $with_cluster == yes && -n $upstream ]] && die "--upstream is for --no-cluster; otherwise a cluster is started"
  [[ $with_cluster == no && -z $upstream ]] && die "--no-cluster wants --upstream HOST:PORT[,HOST:PORT...]"
  [[ $listen =~ ^(.+):([0-9]+)$ ]] || die "--listen is '$listen'; it must be HOST:PORT"
  host=${BASH_REMATCH[1]} listen_port=${BASH_REMATCH[2]}
  case $host in # where to reach what listens everywhere
    0.0.0.0) host=127.0.0.1 ;;
    "[::]") host=::1 ;;
    "["*"]") host=${host:1:-1} ;;
  esac
}

# shellcheck disable=SC2317  # called by a trap
clean_up() {
  trap '' INT TERM
  stop_started
  [[ -z $work_dir ]] || rm -rf "$work_dir"
}

# shellcheck disable=SC2317  # called by a trap
stop_as_asked() {
  say "Stopping."
  exit 0
}

check_that_ports_are_free() {
  ! is_listening "$host" "$listen_port" ||
    die "something listens at $host:$listen_port already; stop it, or give another address with --listen HOST:PORT"
  [[ -z $admin ]] || ! is_listening "${admin%:*}" "${admin##*:}" ||
    die "something listens at $admin already; stop it, or give another address with --admin HOST:PORT"
}

build() {
  "$here/install-deps.sh" test
  corral=${CORRAL:-$root/build/corral}
  [[ -n ${CORRAL:-} ]] && return 0
  say "Building (the first time takes a few minutes) ..."
  build_step cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release
  build_step ninja -C "$root/build" -j "${JOBS:-$(nproc)}" corral
}

# In the background, so that a signal stops it at once.
build_step() {
  start_process "$work_dir/build.log" "$@"
  if ! wait "$pid"; then
    tail -n 40 "$work_dir/build.log" >&2
    die "the build failed"
  fi
  started_pids=()
}

# In front of the throwaway cluster with a rule for the keys that redis-benchmark uses, so that there is something to see.
start_corral() {
  : >"$work_dir/corral.toml"
  [[ $with_cluster == no ]] || printf '%s\n' '[[rule]]' 'name = "quickstart"' 'match = ["key:*", "page:*"]' \
    'ttl = { default = "10m" }' 'near_cache = {}' >"$work_dir/corral.toml"
  start_process "$work_dir/corral.log" "$corral" --config "$work_dir/corral.toml" --listen "$listen" --admin "$admin" \
    --upstream "$upstream"
  corral_pid=$pid
  wait_for_ping Corral "$corral_pid" "$listen_port" "$work_dir/corral.log" "$host" || exit 1
}

# shellcheck disable=SC2317  # called by wait_until
reads_a_key() { [[ $(redis-cli -h "$host" -p "$listen_port" exists corral:quickstart 2>/dev/null) == [01] ]]; }

tell_what_to_try() {
  local at="-p $listen_port"
  [[ $host == 127.0.0.1 ]] || at="-h $host $at"
  cat <<END

Corral answers at $listen, in front of the Redis Cluster $upstream.
It looks like one Redis server. In another terminal:

  redis-cli $at set greeting hello
  redis-cli $at get greeting
  redis-cli $at info corral
  redis-benchmark $at -t set,get -n 200000 -r 100000
  redis-benchmark $at -t set,get -n 1000000 -r 100000 -P 16
${admin:+
See it live:                 http://$admin/
Its metrics, for Prometheus: http://$admin/metrics
}
Ctrl-C stops it.
END
}

# Until a signal comes; a server that ends by itself ends all the others.
watch_over() {
  local ended="" name="a node of the cluster" log="" i
  wait -n -p ended "${started_pids[@]}" || true
  [[ $ended == "$corral_pid" ]] && name=Corral log=$work_dir/corral.log
  for i in 0 1 2; do
    [[ $ended == "${cluster_pids[i]:-}" ]] && log=$work_dir/node-$((i + 1))/log
  done
  say "$name ended by itself; stopping the others. The end of its log:"
  tail -n 15 "$log" >&2
  exit 1
}

parse_arguments "$@"
work_dir=$(mktemp -d "${TMPDIR:-/tmp}/corral-quickstart.XXXXXX")
trap clean_up EXIT
trap stop_as_asked INT TERM
cluster_pids=()
build
check_that_ports_are_free
if [[ $with_cluster == yes ]]; then
  say "Starting a Redis Cluster ..."
  start_cluster "$work_dir" || exit 1
  upstream=$cluster_addresses
fi
start_corral
wait_until 15 reads_a_key || say "Corral answers, but a key cannot be read yet: is $upstream a Redis Cluster?"
tell_what_to_try
watch_over
