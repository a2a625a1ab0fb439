#!/usr/bin/env bash
# Builds the fuzz targets (clang, libFuzzer, ASan, UBSan) and runs them one after the other over their corpora:
#   tests/fuzz/run.sh [SECONDS | EXECUTIONSx] [TARGET...]
# `tests/fuzz/run.sh 60` gives each target a minute (the default), `tests/fuzz/run.sh 10000000x reply` gives one ten million
# executions. What is new goes to build-fuzz/finds/TARGET, an input that fails to build-fuzz/finds/TARGET-*: it is to be
# made smaller (build-fuzz/tests/fuzz/TARGET_fuzz -minimize_crash=1 -runs=100000 FILE) and put into corpus/TARGET.
#
# JOBS (2) is how many compilers run at once. Ends with 1 if a target has found something.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build-fuzz

amount=60
if [[ ${1:-} =~ ^[0-9]+x?$ ]]; then
  amount=$1
  shift
fi
limit=-max_total_time=$amount
[[ $amount == *x ]] && limit=-runs=${amount%x}

targets=("$@")
if ((${#targets[@]} == 0)); then
  for source in "$here"/*_fuzz.cc; do
    source=${source##*/}
    targets+=("${source%_fuzz.cc}")
  done
fi

(cd "$root" && cmake --preset fuzz >/dev/null)
cmake --build "$build" -j "${JOBS:-2}" --target "${targets[@]/%/_fuzz}"

# Bytes. What an input is about fits into few of them (limits are set low for that), and time grows with all of them;
# longer ones are in the corpora, which every build's tests run whole.
declare -A longest=([glob]=256 [config]=2048 [core]=2048)
# Of the core a run has so many features that to count how rare each is takes longer than the run.
declare -A options=([core]=-entropic=0)

failed=0
for target in "${targets[@]}"; do
  mkdir -p "$build/finds/$target"
  dictionary=()
  [[ -f $here/$target.dict ]] && dictionary=("-dict=$here/$target.dict")
  echo "$target: $limit"
  "$build/tests/fuzz/${target}_fuzz" "$limit" "${dictionary[@]}" "-max_len=${longest[$target]:-512}" ${options[$target]:-} -rss_limit_mb=1024 -timeout=10 \
    -print_final_stats=1 "-artifact_prefix=$build/finds/$target-" "$build/finds/$target" "$here/corpus/$target" \
    2>"$build/finds/$target.log" || failed=1
  grep -E 'ERROR|SUMMARY|does not hold|number_of_executed_units|average_exec' "$build/finds/$target.log" || true
done
exit "$failed"
