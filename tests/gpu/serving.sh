#!/usr/bin/env bash
# Measures the serving loop against what the engine alone does: makes a random model, asks skein-bench for the rates of
# decode and prefill, serves the model by a worker and a gateway, and loads them over HTTP.
#
#   tests/gpu/serving.sh BIN [OUT]
#
# BIN is the folder of the programs, such as a bundle's bin; OUT keeps the results (a temporary folder). Fails if the
# served rate is below MIN_RATIO of the predicted one. Settings, with their defaults: SHAPE=1.5B DTYPE=fp16 STATE=fp32
# DEVICE=cuda STREAMS=128 PROMPT=128 ANSWER=256 REQUESTS=1024 ROWS=2048 MIN_RATIO=0.85 TUNE=1; ROWS are
# max_rows_per_step, and with TUNE=0 neither side measures kernels beforehand.
set -euo pipefail

if (($# < 1)) || [[ ! -x "$1/skein-worker" ]]; then
  sed -n 's/^# \{0,1\}//; 2,11p' "$0" >&2
  exit 2
fi
bin=$(realpath "$1")
out=${2:-$(mktemp -d)}
mkdir -p "$out"
: "${SHAPE:=1.5B}" "${DTYPE:=fp16}" "${STATE:=fp32}" "${DEVICE:=cuda}" "${STREAMS:=128}" "${PROMPT:=128}"
: "${ANSWER:=256}" "${REQUESTS:=1024}" "${ROWS:=2048}" "${MIN_RATIO:=0.85}" "${TUNE:=1}"

servers=()
clean_up() {
  if ((${#servers[@]})); then
    kill "${servers[@]}" 2>/dev/null || true
    wait "${servers[@]}" 2>/dev/null || true
  fi
  rm -rf "$out/model"
}
trap clean_up EXIT

# wait_for LOG TEXT: prints the first line of the log that contains the text, within two minutes.
wait_for() {
  local i
  for ((i = 0; i < 1200; ++i)); do
    grep -m1 -F "$2" "$1" && return 0
    sleep 0.1
  done
  echo "$0: no \"$2\" in $1:" >&2
  tail -5 "$1" >&2
  return 1
}
address_in() { sed -n 's/.* address="\{0,1\}\([^ "]*\).*/\1/p'; }
# rate_in FILE NAME: the last number of this name in a file of JSON.
rate_in() { grep -o "\"$2\":[0-9.E+]*" "$1" | tail -1 | cut -d: -f2; }

tuning=(--cache-dir "$out/cache")
((TUNE)) || tuning=(--no-autotune)
model_options=(--shape "$SHAPE" --format "$DTYPE" --state "$STATE" --backend "$DEVICE" --runs 3 "${tuning[@]}")
"$bin/skein-bench" decode "${model_options[@]}" --batch "$STREAMS" --steps 100 --context "$PROMPT" \
  --json "$out/decode.json"
"$bin/skein-bench" prefill "${model_options[@]}" --tokens "${STREAMS}x$PROMPT" --json "$out/prefill.json"

"$bin/skein-eval" make-model --shape "$SHAPE" --dtype "$DTYPE" --ffn-zeros 0.85 --out "$out/model"
"$bin/skein-worker" --model "$out/model" --name bench --device "$DEVICE" --state-dtype "$STATE" \
  "${tuning[@]}" --max-sequences "$STREAMS" --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --access-log off \
  --config <(echo "engine { max_rows_per_step: $ROWS prefill_chunk: $ROWS }") 2>"$out/worker.log" &
servers+=($!)
worker=$(wait_for "$out/worker.log" 'event="listening"' | address_in)
"$bin/skein-gateway" --worker "$worker" --listen 127.0.0.1:0 --access-log off 2>"$out/gateway.log" &
servers+=($!)
gateway=$(wait_for "$out/gateway.log" 'event="listening"' | address_in)
wait_for "$out/worker.log" 'event="model ready"' >/dev/null
metrics=$(wait_for "$out/worker.log" 'event="metrics listening"' | address_in)
sleep 0.5 # until the gateway has heard of it

load=("$bin/skeinctl" bench --url "http://$gateway" --concurrency "$STREAMS" --prompt-tokens "$PROMPT")
"${load[@]}" --requests "$STREAMS" --max-tokens 32 >/dev/null # graphs, libraries, connections
"${load[@]}" --requests "$REQUESTS" --max-tokens "$ANSWER" --json >"$out/served.json"
exec 3<>"/dev/tcp/${metrics%:*}/${metrics##*:}"
printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
cat <&3 >"$out/metrics.txt"

awk -v decode="$(rate_in "$out/decode.json" tokens/s)" -v prefill="$(rate_in "$out/prefill.json" tokens/s)" \
  -v served="$(rate_in "$out/served.json" tokens_per_s)" -v prompt="$PROMPT" -v answer="$ANSWER" -v least="$MIN_RATIO" '
  BEGIN {
    predicted = answer / (prompt / prefill + (answer - 1) / decode)
    printf "decode     %10.0f tokens/s\nprefill    %10.0f tokens/s\n", decode, prefill
    printf "predicted  %10.0f tokens/s\nserved     %10.0f tokens/s\nratio      %10.3f\n", predicted, served, served / predicted
    exit served < least * predicted
  }'
