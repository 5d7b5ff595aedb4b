#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzzer for some seconds. What it finds stays in FOLDER; the kept inputs of
# tests/fuzz/corpus are read, never written. tests/fuzz/dictionaries has words for some.
#
#   tests/tools/fuzz.sh FOLDER SECONDS FUZZER...
set -eu
folder=$1 seconds=$2
shift 2
for fuzzer; do
    name=$(basename "$fuzzer")
    log=$folder/$name.log
    mkdir -p "$folder/$name" "tests/fuzz/corpus/$name"
    words=tests/fuzz/dictionaries/$name
    [ -f "$words" ] || words=
    echo "  FUZZ  $name"
    "$fuzzer" ${words:+"-dict=$words"} -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 \
        -print_final_stats=1 \
        -artifact_prefix="$folder/$name-" "$folder/$name" "tests/fuzz/corpus/$name" 2>"$log" || {
        tail -40 "$log"
        exit 1
    }
    grep -E 'stat::number_of_executed|DONE' "$log"
done
