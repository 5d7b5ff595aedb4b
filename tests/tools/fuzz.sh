#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzzer for some seconds. What it finds stays in FOLDER; the kept inputs of
# tests/fuzz/corpus are read, never written. tests/fuzz/dictionaries has words for some.
#
#   tests/tools/fuzz.sh FOLDER SECONDS FUZZER...
#   tests/tools/fuzz.sh --shared FOLDER SECONDS FUZZER...
#
# --shared: SECONDS are for all of them together, as many at a time as there are cores.
# It ends with `N passed, N failed`. A machine may be slow then, so only an input that
# takes more than 100 s counts as too long.
set -eu

# one FOLDER SECONDS TIMEOUT FUZZER
one() {
    name=$(basename "$4")
    log=$1/$name.log
    mkdir -p "$1/$name" "tests/fuzz/corpus/$name"
    words=tests/fuzz/dictionaries/$name
    [ -f "$words" ] || words=
    if ! "$4" ${words:+"-dict=$words"} -max_total_time="$2" -timeout="$3" -rss_limit_mb=4096 \
        -print_final_stats=1 -artifact_prefix="$1/$name-" "$1/$name" "tests/fuzz/corpus/$name" \
        2>"$log"; then
        echo "  FUZZ  $name failed; its input is $(ls "$1/$name"-* 2>/dev/null | tail -n 1)"
        tail -n 40 "$log"
        return 1
    fi
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "  FUZZ  $name: $inputs inputs, $covered edges covered"
}

if [ "$1" = --one ]; then
    shift
    one "$@"
    exit
fi
if [ "$1" != --shared ]; then
    folder=$1 seconds=$2
    shift 2
    for fuzzer; do
        one "$folder" "$seconds" 10 "$fuzzer"
    done
    exit
fi

folder=$2 cores=$(nproc)
seconds=$3
shift 3
share=$((seconds * cores / $#))
[ "$share" -ge 1 ] || share=1
rm -rf "$folder"
mkdir -p "$folder"
printf '%s\n' "$@" | xargs -P "$cores" -I '{}' sh -c \
    'sh tests/tools/fuzz.sh --one "$1" "$2" 100 "$3" >"$1/$(basename "$3").said" 2>&1 ||
     touch "$1/$(basename "$3").bad"' sh "$folder" "$share" '{}'
cat "$folder"/*.said
failed=$(find "$folder" -name '*.bad' | wc -l)
echo "$(($# - failed)) passed, $failed failed"
[ "$failed" = 0 ]
