#!/usr/bin/env bash
# A hot key expires under traffic: how many clients ask the origin for it then, how long reads take meanwhile, and how
# stale their values are; without Corral, and with each of the ways in which Corral keeps a herd from stampeding.
#
#   bench/stampede.sh [--seconds N] [--only WORDS] [--quick] [--out DIR] [--list]
#
#   --seconds N    how long each client is watched in each mode (60)
#   --only WORDS   some modes and clients, with commas between them: `lease,stale,blocking`. Words of one kind add up,
#                  kinds narrow down. The modes:
#                    redis    no Corral: the clients talk to a redis-server
#                    plain    Corral without a rule
#                    lease    one client computes, the others wait for its value
#                    stale    likewise, but the others get the last value (stale_while_revalidate)
#                    early    one client is made to compute before the TTL is over (early_refresh)
#                    proxies  stale, with two Corrals that know nothing of each other (scope = "proxy")
#                    fleet    stale, with two Corrals that share their leases (scope = "cluster")
#                  The clients, all of them plain cache-aside code (GET, and on nil: compute, SET PX):
#                    ioredis         200 callers, a connection each
#                    autopipelining  ioredis with enableAutoPipelining: 200 callers on 10 connections
#                    blocking        200 threads, a connection each
#   --quick        a few expiries of a TTL of 1 s: to see that it works, not to measure
#   --out DIR      where the measurements and plots go (build/stampede)
#   --list         tells the plan and ends
#   Environment: CORRAL (build/corral), CLIENTS (200), READS_PER_SECOND (500), TTL_MS (5000), ORIGIN_MS (200)
#
# The table is printed; DIR/*.svg show the same as plots. `calls each` are calls to the origin for each expiry but the
# first, which is the cold start; figures in ms are of the reads around these, from a tenth of a TTL before to a fifth of
# it behind. `GET` is until the reply, `value` until the client has a value, which includes the origin if it has to ask.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=config/cluster.sh
source "$root/config/cluster.sh"
# shellcheck source=bench/common.sh
source "$here/common.sh"

readonly all_modes=(redis plain lease stale early proxies fleet) all_clients=(ioredis autopipelining blocking)
declare -A told=(
  [redis]="no Corral" [plain]="Corral, no rule" [lease]="lease and wait" [stale]="stale_while_revalidate"
  [early]="early_refresh" [proxies]="two Corrals, scope proxy, stale" [fleet]="two Corrals, scope cluster, stale"
)
declare -A ports
modes=() chosen_clients=() seconds="" only="" quick=no list_only=no out=$root/build/stampede

parse_arguments() {
  while (($#)); do
    case $1 in
      --quick) quick=yes ;;
      --list) list_only=yes ;;
      --seconds | --only | --out)
        (($# > 1)) || die "$1 wants a value"
        printf -v "${1#--}" %s "$2"
        shift
        ;;
      -h | --help)
        sed -n '2,31s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      *) die "unknown argument $1 (--help tells what there is)" ;;
    esac
    shift
  done
  [[ -z $seconds || $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds wants a number"
}

# chosen WORD...: those that --only names, all if it names none of them. -> chosen
choose() {
  local word
  chosen=()
  for word in "$@"; do [[ ,$only, != *,$word,* ]] || chosen+=("$word"); done
  ((${#chosen[@]})) || chosen=("$@")
}

make_plan() {
  local word
  for word in ${only//,/ }; do
    [[ " ${all_modes[*]} ${all_clients[*]} " == *" $word "* ]] || die "--only: unknown word $word (--help tells what there is)"
  done
  choose "${all_modes[@]}" && modes=("${chosen[@]}")
  choose "${all_clients[@]}" && chosen_clients=("${chosen[@]}")
  if [[ $quick == yes ]]; then
    ttl_ms=${TTL_MS:-1000} origin_ms=${ORIGIN_MS:-100} seconds=${seconds:-5}
  else
    ttl_ms=${TTL_MS:-5000} origin_ms=${ORIGIN_MS:-200} seconds=${seconds:-60}
  fi
  clients=${CLIENTS:-200} rate=${READS_PER_SECOND:-500}
  say "Plan: ${#modes[@]} modes (${modes[*]}), ${#chosen_clients[@]} clients (${chosen_clients[*]}), $seconds s each:" \
    "about $((${#modes[@]} * ${#chosen_clients[@]} * (seconds + 2) / 60 + 1)) minutes"
}

prepare() {
  "$root/config/install-deps.sh" test
  ulimit -n 4096 2>/dev/null || true
  corral=${CORRAL:-$root/build/corral}
  [[ " ${chosen_clients[*]} " != *" blocking "* ]] || build "$here" "$root/build/bench-tools" corral_cache_aside
  [[ ${modes[*]} == redis || -n ${CORRAL:-} ]] || build "$root" "$root/build" corral
  packages=$root/build/tests/clients
  [[ ${chosen_clients[*]} == blocking ]] || "$root/tests/clients/install.sh" "$packages" >"$work_dir/npm.log" 2>&1 || {
    tail -n 15 "$work_dir/npm.log" >&2
    die "the npm packages could not be installed"
  }
}

# A rule with what it says of stampedes.
rule() { printf '[[rule]]\nmatch = "page:*"\nstampede = { lease = "10s", wait = "1s"%s }\n' "$1"; }

# start_mode MODE -> ports[MODE]
start_mode() {
  local settings="" stale=', stale_while_revalidate = "30s"' first
  case $1 in
    redis)
      start_redis "$work_dir/redis" || exit 1
      ports[$1]=$port
      return
      ;;
    plain) ;;
    lease) settings=$(rule "") ;;
    stale) settings=$(rule "$stale") ;;
    early) settings=$(rule ', early_refresh = 1.0') ;;
    proxies) settings=$(rule "$stale"', scope = "proxy"') ;;
    fleet) settings=$(rule "$stale"', scope = "cluster"') ;;
  esac
  start_corral "$1" "$settings"
  ports[$1]=$port
  [[ $1 == @(proxies|fleet) ]] || return 0
  first=$port
  start_corral "$1-2" "$settings"
  ports[$1]=$first,$port
}

# watch MODE CLIENT: one run, in a file of its own.
watch() {
  local options=(--key "page:$1:$2" --clients "$clients" --reads-per-second "$rate" --seconds "$seconds"
    --ttl-ms "$ttl_ms" --origin-ms "$origin_ms") file=$out/$1.$2.csv
  local load=(node "$here/cache_aside.mjs" "${ports[$1]}" --packages "$packages" "${options[@]}")
  say "$1, $2 ..."
  case $2 in
    ioredis) load+=(--connections "$clients") ;;
    autopipelining) load+=(--connections $(((clients + 19) / 20)) --autopipelining yes) ;;
    blocking) load=("$root/build/bench-tools/corral_cache_aside" "${ports[$1]}" "${options[@]}") ;;
  esac
  timeout $((seconds + 60)) "${load[@]}" >"$file" 2>"$work_dir/load.log" || {
    tail -n 15 "$work_dir/load.log" >&2
    die "the load failed"
  }
}

# shellcheck disable=SC2317  # called by a trap
clean_up() {
  trap '' INT TERM
  stop_started
  rm -rf "$work_dir"
}

parse_arguments "$@"
make_plan
[[ $list_only == no ]] || exit 0
work_dir=$(mktemp -d "${TMPDIR:-/tmp}/corral-stampede.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
prepare
mkdir -p "$out"
rm -f "$out"/*.csv "$out"/*.svg "$out/order"
for mode in "${modes[@]}"; do
  start_mode "$mode"
  printf '%s\t%s\n' "$mode" "${told[$mode]}" >>"$out/order"
  for client in "${chosen_clients[@]}"; do watch "$mode" "$client"; done
done
printf '# A hot key expires: %s clients, %s reads/s, a TTL of %s ms, an origin of %s ms\n\n' "$clients" "$rate" "$ttl_ms" "$origin_ms"
printf 'Commit %s, %s cores of %s, %s, %s s each.\n\n' "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)" \
  "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(redis-server --version | sed 's/ sha=.*//')" "$seconds"
node "$here/stampede_report.mjs" "$out" "$ttl_ms" | tee "$out/table.md"
say "The plots: $out/*.svg"
