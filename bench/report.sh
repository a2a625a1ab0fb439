#!/usr/bin/env bash
# Runs all benchmarks and makes one page of them, bench/report/index.html, with plots and tables: each figure beside the
# peer's from the same run.
#
#   bench/report.sh [--quick] [--only PARTS] [--out DIR]
#
#   --quick        each part is run for a short time: to see that it works, not to measure
#   --only PARTS   some of micro,compare,stampede,hits, with commas between them. Of the others the page shows what the
#                  last run has left, if there is one
#   --out DIR      where the page and its plots go (bench/report)
#
# The parts: what a request costs in the pure parts (build/bench/micro), Corral beside redis-server and twemproxy
# (compare.sh), a hot key that expires (stampede.sh), and the near cache's policy on recorded traces (build/bench/hit_ratio;
# ../shared/traces, left out where there are none). What they print goes to build/report. Takes about an hour, --quick a
# few minutes. Environment: what compare.sh and stampede.sh read.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=config/cluster.sh
source "$root/config/cluster.sh"

quick=() only=micro,compare,stampede,hits out=$here/report
while (($#)); do
  case $1 in
    --quick) quick=(--quick) ;;
    --only | --out)
      (($# > 1)) || die "$1 wants a value"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    -h | --help)
      sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) die "unknown argument $1 (--help tells what there is)" ;;
  esac
  shift
done
for part in ${only//,/ }; do
  [[ $part == @(micro|compare|stampede|hits) ]] || die "--only: unknown part $part (--help tells what there is)"
done
wanted() { [[ ,$only, == *,$1,* ]]; }

raw=$root/build/report
mkdir -p "$raw" "$out"
"$root/config/install-deps.sh" test
say "Building ..."
[[ -f $root/build/build.ninja ]] || cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$root/build" --target corral corral_micro_bench corral_hit_ratio >"$raw/build.log" 2>&1 || {
  tail -n 20 "$raw/build.log" >&2
  die "the build failed"
}

if wanted micro; then
  say "micro ..."
  "$root/build/bench/micro/corral_micro_bench" --benchmark_format=json --benchmark_min_time="$([[ ${quick[*]-} ]] && echo 0.01 || echo 0.5)" \
    >"$raw/micro.json"
fi
if wanted hits; then
  if compgen -G "$root/../shared/traces/*" >/dev/null; then
    say "hits ..."
    "$root/build/bench/hit_ratio/corral_hit_ratio" >"$raw/hits.txt"
  else
    say "hits: there are no traces in ../shared/traces"
  fi
fi
if wanted compare; then "$here/compare.sh" "${quick[@]}" >"$raw/compare.md"; fi
if wanted stampede; then "$here/stampede.sh" "${quick[@]}" --out "$raw/stampede" >"$raw/stampede.md"; fi

cat >"$raw/about" <<EOF
Corral	$("$root/build/corral" --version | head -n 1), commit $(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
Machine	$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), Linux $(uname -r)
Peers	$(redis-server --version | sed 's/ sha=.*//'), $(nutcracker --version 2>&1 | grep -o 'nutcracker-[0-9.]*' || echo 'no twemproxy')
Day	$(date -u +%F)$([[ ${quick[*]-} ]] && echo ', a quick run: these figures say nothing')
EOF
node "$here/report.mjs" "$raw" "$out"
say "The page: $out/index.html"
