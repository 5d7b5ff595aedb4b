#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job on real weights, for `make run`:
#   tests/tools/demo.sh BINARIES WORK [CHECKPOINT]
# Starts tritd on loopback, ternarizes the checkpoint through it, verifies the
# result against the latents by a second call, and prints commands to try. On a
# terminal it serves until Ctrl-C, otherwise it stops the daemon.
set -euo pipefail

binaries=$1 work=$2
checkpoint=${3:-tests/data/silero_vad_16k.safetensors}
# The sample's fixed Fourier basis is not a trained weight.
select=(--convolutions)
[ $# -ge 3 ] || select+=(--exclude stft_conv.weight)

mkdir -p "$work/data"
name=$(basename "$checkpoint")
out=$work/${name%.*}.ternary.safetensors

# The usual port, or any free one where it is taken.
address() {
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
        echo 127.0.0.1:0
    else
        echo "127.0.0.1:$1"
    fi
}

mkfifo "$work/ready.$$"
exec 4<>"$work/ready.$$"
rm "$work/ready.$$"
"$binaries/tritd" --listen "$(address 6561)" --http "$(address 6562)" \
    --data-dir "$work/data" >&4 2>"$work/tritd.log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || true' EXIT
trap : INT TERM

while ! read -r -t 0.2 ready <&4; do
    kill -0 "$daemon" 2>/dev/null || { cat "$work/tritd.log" >&2; exit 1; }
done
rpc=$(sed 's/.*rpc=\([^ ]*\).*/\1/' <<<"$ready")
http=$(sed 's/.*http=\([^ ]*\).*/\1/' <<<"$ready")
export TRITD_ADDRESS=${rpc%%,*}

# A new run each time: a report is never overwritten.
run=demo-$(date +%Y%m%d-%H%M%S)
echo "tritd serves rpc on $rpc, http on $http (log: $work/tritd.log)"
echo
# Replaces the output of an earlier run.
force=()
[ ! -e "$out" ] || force=(--force)
echo "\$ trit project $checkpoint -o $out ${select[*]}${force:+ --force} --run $run --step 0"
"$binaries/trit" project "$checkpoint" -o "$out" "${select[@]}" "${force[@]}" --run "$run" --step 0
echo
echo "\$ trit verify $out --against $checkpoint ${select[*]}"
"$binaries/trit" verify "$out" --against "$checkpoint" "${select[@]}"
cat <<EOF

Try:
  curl -s http://$http/v1/runs/$run/layers
  curl -s http://$http/metrics | grep tritd_elements
  curl -s http://$http/readyz
and open http://$http/ in a browser.
EOF

if [ -t 0 ] && [ -t 1 ]; then
    echo "Serving; Ctrl-C stops."
else
    kill -TERM "$daemon"
fi
trap - EXIT
# Ctrl-C reaches the daemon from the terminal; a TERM is passed on. Either makes
# the first wait return early, and the second has the daemon's own exit code.
interrupted=
trap interrupted=1 INT
trap 'interrupted=1; kill -TERM "$daemon" 2>/dev/null || true' TERM
code=0
wait "$daemon" || code=$?
[ -z "$interrupted" ] || { code=0; wait "$daemon" || code=$?; }
echo "tritd has drained and exited with $code."
exit "$code"
