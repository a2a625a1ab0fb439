#!/usr/bin/env bash
# Everything that the tests need, the build, and all tests. Arguments go to ctest: `tests/run.sh -R config`.
#
# JOBS (2) is how many compilers run at once. Of tests it is one more, as most of them wait more than they compute.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=${JOBS:-2}

"$root/config/install-deps.sh" page
cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release
cmake --build "$root/build" -j "$jobs"
exec ctest --test-dir "$root/build" --output-on-failure -j "$((jobs + 1))" "$@"
