# shellcheck shell=bash disable=SC2154
# To be sourced: what the scripts of this folder share. They have `root`, `work_dir` and `corral` (the program) set, and
# have sourced config/cluster.sh.

die() {
  say "${0##*/}: $*"
  exit 1
}

# build SOURCE_DIR BUILD_DIR TARGET
build() {
  {
    cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Release && ninja -C "$2" -j "${JOBS:-2}" "$3"
  } >"$work_dir/build.log" 2>&1 && return
  tail -n 40 "$work_dir/build.log" >&2
  die "the build failed"
}

# start_corral NAME SETTINGS: with one worker, before a cluster that all of them share. -> port, pid
start_corral() {
  [[ -n ${cluster_addresses-} ]] || start_cluster "$work_dir/cluster" || exit 1
  pick_port
  printf '[server]\nmax_clients = 60000\n%s' "$2" >"$work_dir/$1.toml"
  start_process "$work_dir/$1.log" "$corral" --config "$work_dir/$1.toml" --workers 1 \
    --listen "127.0.0.1:$port" --upstream "$cluster_addresses" --admin ""
  wait_for_ping Corral "$pid" "$port" "$work_dir/$1.log" || exit 1
}

# Settings: a near cache of MEMORY for every key.
near_cache() {
  printf '[near_cache]\nmemory = "%s"\n[[rule]]\nmatch = "*"\nnear_cache = { ttl = "1h", max_value = "64KiB" }\n' "$1"
}

# skewed_load PORT OPTION...: see skewed_load.cc.
skewed_load() {
  timeout "${SKEWED_LOAD_SECONDS:-600}" "$root/build/bench-tools/corral_skewed_load" 127.0.0.1 "$@"
}

# memory_kib VmRSS|VmHWM PID
memory_kib() { sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$2/status"; }

# A field of a server's INFO: info_of PORT NAME
info_of() { redis-cli -p "$1" info 2>/dev/null | tr -d '\r' | sed -n "s/^$2://p" || true; }
