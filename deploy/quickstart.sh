#!/usr/bin/env bash
# From a fresh clone to a streamed answer: installs packages, builds, serves the demo model on loopback, asks it
# something, and keeps serving until Ctrl-C.
#
#   deploy/quickstart.sh [--once]      --once: stop after the answer; exit status 0 if it was right
# shellcheck disable=SC2317  # finish and stop are called by a trap
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly question='What is 345 + 278?' right_answer='623'
readonly build_dir=build/quickstart
readonly model_dir=deploy/demo-model model=demo-model

once=false
case "${1:-}" in
  '') ;;
  --once) once=true ;;
  *)
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [[ "$1" == --help || "$1" == -h ]] && exit 0
    exit 2
    ;;
esac

say() { printf '\n[%3d s] %s\n' "$SECONDS" "$*"; }
fail() {
  printf '\n%s\n' "quickstart: $*" >&2
  exit 1
}

# --- Stopping: whatever happens, nothing stays behind. ---------------------------------------------------------------

worker_pid='' gateway_pid='' logs=''

stop() {
  local pid=$1 tries
  [[ -n "$pid" ]] || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((tries = 0; tries < 100; ++tries)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

finish() {
  local status=$?
  trap - EXIT INT TERM
  stop "$gateway_pid"
  stop "$worker_pid"
  if [[ -n "$logs" ]]; then
    if ((status != 0)); then
      for log in "$logs"/*.log; do
        [[ -s "$log" ]] && printf '\n--- the end of %s\n' "$log" >&2 && tail -n 20 "$log" >&2
      done
    else
      rm -rf "$logs"
    fi
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- Building. -------------------------------------------------------------------------------------------------------

# Prints the compute capability of the first card, such as 9.0, if CUDA code can be both built and run here.
find_card() {
  [[ -x /usr/local/cuda/bin/nvcc ]] || command -v nvcc >/dev/null || return 1
  command -v nvidia-smi >/dev/null || return 1
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | grep -E '^[0-9]+\.[0-9]+$'
}

# One compiler needs up to 2 GB.
parallel_jobs() {
  local by_memory
  by_memory=$(awk '/^MemAvailable:/ {print int($2 / 2000000)}' /proc/meminfo)
  local jobs
  jobs=$(nproc)
  ((by_memory < jobs)) && jobs=$by_memory
  ((jobs < 1)) && jobs=1
  echo "$jobs"
}

build() {
  local preset=cpu arguments=() card
  if card=$(find_card); then
    preset=cuda
    local architecture=${card/./}
    [[ "$architecture" == 90 ]] && architecture=90a
    arguments+=("-DCMAKE_CUDA_ARCHITECTURES=$architecture-real")
  fi
  say "building skein-worker, skein-gateway and skeinctl (preset $preset, $(parallel_jobs) at a time)"
  cmake --preset "$preset" -B "$build_dir" -DBUILD_TESTING=OFF --log-level=WARNING "${arguments[@]}" >/dev/null
  cmake --build "$build_dir" --parallel "$(parallel_jobs)" --target skein-worker skein-gateway skeinctl
}

# --- Serving. --------------------------------------------------------------------------------------------------------

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The usual port, or 0 for any free one.
choose_port() { if is_taken "$1"; then echo 0; else echo "$1"; fi; }

# wait_for LOG PID PATTERN: prints the first line of LOG that matches, or fails if the process ends before it.
wait_for() {
  local tries
  for ((tries = 0; tries < 1200; ++tries)); do
    grep -s -m 1 -E "$3" "$1" && return 0
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

address_in() { sed -E 's/.*address="?([^" ]+)"?.*/\1/' <<<"$1"; }

serve() {
  local line
  "$build_dir/worker/skein-worker" --model "$model_dir" --name "$model" \
    --listen "127.0.0.1:$(choose_port 50051)" 2>"$logs/worker.log" &
  worker_pid=$!
  line=$(wait_for "$logs/worker.log" "$worker_pid" 'event="listening"') || fail 'the worker did not start'
  worker_address=$(address_in "$line")
  wait_for "$logs/worker.log" "$worker_pid" 'event="model ready"' >/dev/null || fail 'the worker did not load the model'

  "$build_dir/gateway/skein-gateway" --worker "$worker_address" \
    --listen "127.0.0.1:$(choose_port 8080)" 2>"$logs/gateway.log" &
  gateway_pid=$!
  line=$(wait_for "$logs/gateway.log" "$gateway_pid" 'event="listening"') || fail 'the gateway did not start'
  url="http://$(address_in "$line")"
  curl --silent --fail --output /dev/null --retry 50 --retry-delay 0 --retry-max-time 30 --retry-all-errors \
    "$url/readyz" || fail 'the gateway did not find the worker'
}

ask() {
  printf '\n> %s\n' "$question"
  "$build_dir/tools/skeinctl/skeinctl" chat --url "$url" --temperature 0 "$question" | tee "$logs/answer" ||
    fail 'no answer came'
  [[ "$(<"$logs/answer")" == "$right_answer" ]] || fail "the answer should have been $right_answer"
}

say 'installing packages'
tools/install-packages.sh build
build
logs=$(mktemp -d)
say "starting a worker with $model_dir, and a gateway"
serve
say "asking the model at $url"
ask
say 'the same question with curl:'
cat <<END

curl -N $url/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '{"model": "$model", "stream": true, "temperature": 0, "messages": [{"role": "user", "content": "$question"}]}'

END
say 'and from a tuned state, one of three that come with the model (skeinctl states lists them):'
cat <<END

$build_dir/tools/skeinctl/skeinctl chat --url $url --state pirate --temperature 0 '$question'

curl $url/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '{"model": "$model", "state": "pirate", "temperature": 0, "messages": [{"role": "user", "content": "$question"}]}'

END
"$once" && exit 0
echo "Serving until Ctrl-C. Talk to it: $build_dir/tools/skeinctl/skeinctl chat --url $url"
trap 'exit 0' INT TERM
wait -n "$worker_pid" "$gateway_pid" || true
fail 'a server ended by itself'
