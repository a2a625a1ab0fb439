#!/bin/sh
# Does the simulator find what it is there to find? Each patch of tests/sim/defects puts one defect into a copy of the
# tree; a violation is expected within 10,000 seeds. Says which seed found it.
#
# defects.sh [--keep DIR] [NAME...]      NAME: of the patches, all by default; DIR: where the copy is made, and stays
set -e
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=
if [ "$1" = --keep ]; then
  dir=$2
  shift 2
  mkdir -p "$dir"
else
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
fi
[ $# -gt 0 ] || set -- $(cd "$here/defects" && ls *.patch | sed 's/\.patch$//')

git -C "$root" ls-files -z --cached --others --exclude-standard | (cd "$root" && xargs -0 cp -pu --parents -t "$dir")
[ -f "$dir/build/build.ninja" ] ||
  cmake -S "$dir" -B "$dir/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" >/dev/null
build() { ninja -C "$dir/build" sim_run >"$dir/build.log" 2>&1 || { tail -20 "$dir/build.log"; exit 2; }; }
build
"$dir/build/tests/sim/sim_run" --seeds 200 >/dev/null || { echo "without a defect there is a violation already"; exit 2; }

missed=0
for name in "$@"; do
  patch -s -d "$dir" -p1 <"$here/defects/$name.patch"
  build
  found=$("$dir/build/tests/sim/sim_run" --first --seeds 10000 2>&1 | grep -m1 -E '^VIOLATION|^CRASH' || true)
  patch -s -R -d "$dir" -p1 <"$here/defects/$name.patch"
  [ -n "$found" ] || missed=$((missed + 1))
  printf '%-28s %s\n' "$name" "${found:-NOT FOUND}"
done
[ "$missed" -eq 0 ]
