#!/usr/bin/env bash
# Whether the near cache keeps to its memory: a process with a near cache of 64 MiB for every key must stay within 64 MiB
# and 10% of what the same one without a near cache takes.
#
#   bench/near_memory.sh
#
# Two Corrals, of one worker each and before the same cluster, have the same requests: all KEYS distinct keys in their
# order, then the same number of reads with 1% writes by zipf 0.99, then all keys in their order again. Each tenth key
# exists, with a value of 16 B to 4 KiB; that the others do not is cached as well. Prints the resident memory of both,
# now and at its peak, and ends with status 1 if the difference of the peaks is over the bound, 2 if the cache was not
# filled, which proves nothing.
#   Environment: KEYS (10000000; the cluster takes about 1 GiB for these), CORRAL (build/corral)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=config/cluster.sh
source "$root/config/cluster.sh"
# shellcheck source=bench/common.sh
source "$here/common.sh"

readonly memory_mib=64 bound_kib=$((64 * 1024 * 11 / 10)) sizes=16-4096
keys=${KEYS:-10000000}
declare -A server_port server_pid

if (($#)); then
  sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  [[ $1 == -h || $1 == --help ]] && exit 0
  exit 2
fi

# shellcheck disable=SC2317  # called by a trap
clean_up() {
  trap '' INT TERM
  stop_started
  rm -rf "$work_dir"
}

pass() {
  local name
  for name in off near; do
    say "$1 through $name ..."
    skewed_load "${server_port[$name]}" --keys "$keys" --requests "$keys" --sizes "$sizes" "${@:2}" >/dev/null ||
      die "the load failed"
  done
}

show() {
  printf '| %s | %s | %s | %s | %s |\n' "$1" $(("$(memory_kib VmRSS "${server_pid[$1]}")" / 1024)) \
    $(("$(memory_kib VmHWM "${server_pid[$1]}")" / 1024)) \
    "$(info_of "${server_port[$1]}" near_cache_keys)" "$(info_of "${server_port[$1]}" near_cache_bytes)"
}

work_dir=$(mktemp -d "${TMPDIR:-/tmp}/corral-near-memory.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
corral=${CORRAL:-$root/build/corral}
build "$here" "$root/build/bench-tools" corral_skewed_load
[[ -n ${CORRAL:-} ]] || build "$root" "$root/build" corral
start_corral off "$(near_cache 0B)"
server_port[off]=$port server_pid[off]=$pid
start_corral near "$(near_cache ${memory_mib}MiB)"
server_port[near]=$port server_pid[near]=$pid

say "Filling the cluster ..."
skewed_load "${server_port[off]}" --keys "$keys" --sizes "$sizes" --load 10 --requests 0 || die "the load failed"
pass "all keys" --skew sequence --reads 1
pass "zipf" --skew zipf:0.99 --reads 0.99
pass "all keys again" --skew sequence --reads 1

printf '| near cache | resident MiB | peak MiB | keys | bytes |\n| --- | ---: | ---: | ---: | ---: |\n'
show off
show near
cached=$(info_of "${server_port[near]}" near_cache_bytes)
over_kib=$(($(memory_kib VmHWM "${server_pid[near]}") - $(memory_kib VmHWM "${server_pid[off]}")))
printf '\n%s distinct keys: %s KiB more at the peak; the bound is %s KiB\n' "$keys" "$over_kib" "$bound_kib"
((cached >= memory_mib * 1024 * 1024 * 8 / 10)) || {
  say "the near cache was not filled: $cached bytes"
  exit 2
}
((over_kib <= bound_kib))
