#!/usr/bin/env bash
# images_test.sh BUILD: makes the images from the programs of a build folder, looks into them, and has a chat through
# both of them in containers that may do nothing. Exit status 77 (skipped) where containers cannot be made.
# shellcheck disable=SC2317  # finish is called by a trap
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/images/storage.sh
source tests/images/storage.sh
# shellcheck source=tests/images/chart_pods.sh
source tests/images/chart_pods.sh

build=$(realpath "$1")
skeinctl=$build/tools/skeinctl/skeinctl
max_gateway_bytes=60000000

finish() {
  local status=$?
  trap - EXIT
  if ((status != 0 && status != 77)); then
    for name in worker gateway; do
      printf '\n--- the end of the %s log\n' "$name" >&2
      "${podman[@]}" logs --tail 20 "$name" >&2 2>&1 || true
    done
  fi
  remove_storage || status=1
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }
# inspect IMAGE TEMPLATE
inspect() { "${podman[@]}" image inspect --format "$2" "skein-$1:test"; }
label() { inspect "$1" "{{index .Labels \"org.opencontainers.image.$2\"}}"; }
# equal WHAT FOUND WANTED
equal() { [[ "$2" == "$3" ]] || fail "$1 is \"$2\", expected \"$3\""; }

# --- What the images hold. -------------------------------------------------------------------------------------------

# Paths of the files of the mounted image $1 whose names match the find arguments.
files_in() { (cd "$1" && find . -type f "${@:2}" -printf '/%P\n' | sort); }

check_files() {
  local target=$1 programs=("${@:2}") mounted linked found
  mounted=$("${podman[@]}" image mount "skein-$target:test")
  # Every executable is a program of ours or a library, so there is no shell, no compiler, no package manager.
  found=$(files_in "$mounted" -perm /111 -not -name '*.so*')
  equal "skein-$target: its executables" "$found" "$(printf '/opt/skein/bin/%s\n' "${programs[@]}")"
  linked=$(for program in "${programs[@]}"; do
    LD_LIBRARY_PATH=/opt/skein/lib chroot "$mounted" /lib64/ld-linux-x86-64.so.2 --list "/opt/skein/bin/$program"
  done | grep -o '/[^ ]*' | xargs -n 1 realpath -m -s | sort -u)
  found=$(files_in "$mounted" -name '*.so*')
  diff <(echo "$linked") <(echo "$found") >&2 || fail "skein-$target: its libraries are not those that its programs link with"
  [[ -z "$(find "$mounted" -perm /6000 -o -perm /002 -not -type l)" ]] || fail "skein-$target: rights that nobody needs"
  unpacked=$(du --apparent-size --bytes --summarize "$mounted" | cut -f 1)
  say "skein-$target: $((unpacked / 1000000)).$((unpacked / 100000 % 10)) MB unpacked"
}

# check_image TARGET PROGRAM...
check_image() {
  local target=$1
  check_files "$@"
  equal "skein-$target: its user" "$(inspect "$target" '{{.User}}')" 65532:65532
  equal "skein-$target: its stop signal" "$(inspect "$target" '{{.Config.StopSignal}}')" SIGTERM
  equal "skein-$target: title" "$(label "$target" title)" "skein-$target"
  equal "skein-$target: version" "$(label "$target" version)" \
    "$(sed -nE 's/^project\(skein VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)"
  equal "skein-$target: revision" "$(label "$target" revision)" \
    "$(git describe --always --abbrev=40 --dirty 2>/dev/null || echo unknown)"
  equal "skein-$target: licenses" "$(label "$target" licenses)" Apache-2.0
  equal "skein-$target: source" "$(label "$target" source)" unknown
  [[ -n "$(label "$target" description)" ]] || fail "skein-$target: no description"
}

# --- What they do. ---------------------------------------------------------------------------------------------------

contained=(--pull never --read-only --cap-drop=all --security-opt no-new-privileges
  --ulimit nofile=4096:4096 --ulimit nproc=1024:1024)

# start TARGET FILE MOUNTED ARGUMENT...: the container is named like its target.
start() {
  "${podman[@]}" run --detach --name "$1" --network host "${contained[@]}" --volume "$2:$3:ro" "skein-$1:test" \
    "${@:4}" >/dev/null
}

# Keys come from the image, too: the entry goes into $storage/keys, the key into SKEIN_API_KEY.
make_key() {
  "${podman[@]}" run --rm --network none "${contained[@]}" --entrypoint skeinctl skein-gateway:test \
    keys new --name test --role inference >"$storage/keys" 2>"$storage/key"
  SKEIN_API_KEY=$(grep -o 'sk-[^ ]*' "$storage/key") || fail "no key was made: $(cat "$storage/key")"
  export SKEIN_API_KEY
}

# wait_for NAME EVENT: the log line of that event.
wait_for() {
  local tries log
  for ((tries = 0; tries < 300; ++tries)); do
    log=$("${podman[@]}" logs "$1" 2>&1)
    grep -m 1 "event=\"$2\"" <<<"$log" && return 0
    [[ "$("${podman[@]}" inspect --format '{{.State.Running}}' "$1")" == true ]] || fail "$1 ended before \"$2\""
    sleep 0.1
  done
  fail "$1 did not log \"$2\""
}
address_in() { sed -E 's/.*address="?([^" ]+)"?.*/\1/' <<<"$1"; }

pid_of() { "${podman[@]}" inspect --format '{{.State.Pid}}' "$1"; }

check_process() {
  local status
  status=/proc/$(pid_of "$1")/status
  grep -q '^Uid:.65532.65532.65532.65532$' "$status" || fail "$1 runs as $(grep '^Uid:' "$status")"
  grep -q '^CapEff:.0*$' "$status" || fail "$1 has capabilities: $(grep '^CapEff:' "$status")"
  if "${podman[@]}" exec "$1" /bin/sh -c true 2>/dev/null; then fail "$1 runs a shell"; fi
}

# Both get SIGTERM while a stream runs, which must end whole, and they with status 0.
check_drain() {
  local stream=$storage/stream tries lines pids
  pids=("$(pid_of worker)" "$(pid_of gateway)")
  curl --silent --no-buffer --max-time 60 --header "Authorization: Bearer $SKEIN_API_KEY" \
    "$url/v1/completions" >"$stream" --data '{"model": "demo", "prompt": "The",
    "stream": true, "temperature": 1, "seed": 5, "ignore_eos": true, "max_tokens": 4000}' &
  local client=$!
  for ((tries = 0; tries < 100; ++tries)); do
    [[ -s "$stream" ]] && break
    sleep 0.05
  done
  kill -TERM "${pids[@]}" # as `podman stop` does, but before the stream has ended by itself
  lines=$(wc -l <"$stream")
  wait "$client" || fail 'the stream was cut'
  (($(wc -l <"$stream") > lines)) || fail 'the stream was over before the containers were told to stop'
  grep -q '"finish_reason":"length"' "$stream" || fail "the stream ended with: $(tail -n 3 "$stream")"
  equal 'the last event' "$(grep '^data' "$stream" | tail -n 1)" 'data: [DONE]'
  for name in worker gateway; do
    equal "$name: exit status" "$(timeout 30 "${podman[@]}" wait "$name")" 0
    wait_for "$name" stopped >/dev/null
  done
}

# run_cuda PROGRAM ARGUMENT...
run_cuda() {
  "${podman[@]}" run --rm --network none "${contained[@]}" --entrypoint "$1" skein-worker-cuda:test "${@:2}"
}

# The bases of the GPU worker cannot be had here: what is laid on them can be tried on others.
check_cuda_target() {
  # With the links that such an image has.
  local cuda=$storage/cuda libraries=usr/local/cuda-13.0/targets/x86_64-linux/lib
  mkdir -p "$cuda/$libraries" "$cuda/etc/alternatives"
  echo 'stand-in' >"$cuda/$libraries/libcublasLt.so.13.0.0"
  ln -s libcublasLt.so.13.0.0 "$cuda/$libraries/libcublasLt.so.13"
  ln -s targets/x86_64-linux/lib "$cuda/usr/local/cuda-13.0/lib64"
  ln -s /usr/local/cuda-13.0 "$cuda/etc/alternatives/cuda"
  ln -s /etc/alternatives/cuda "$cuda/usr/local/cuda"
  printf 'FROM scratch\nCOPY etc /etc\nCOPY usr /usr\n' >"$cuda/Dockerfile"
  "${buildah[@]}" bud --quiet --tag cuda-devel:test "$storage/cuda" >/dev/null
  build_flags='--build-arg CUDA_DEVEL=localhost/cuda-devel:test --build-arg CUDA_RUNTIME=debian:bookworm-slim' \
    build_images --bundle "$storage/bundle" worker-cuda >/dev/null
  equal 'skein-worker-cuda: its user' "$(inspect worker-cuda '{{.User}}')" 65532:65532
  equal 'skein-worker-cuda: title' "$(label worker-cuda title)" skein-worker-cuda
  equal 'what the GPU worker says' "$(run_cuda skein-worker --model /model --check-config)" \
    'the configuration is valid'
  equal 'cuBLASLt of the GPU worker' "$(run_cuda cat /opt/skein/lib/libcublasLt.so.13)" stand-in
}

use_storage "$build/images"
say 'making the base'
make_base
say 'building'
tools/bundle.sh "$build" "$storage/bundle" skein-gateway skein-worker skeinctl >/dev/null
build_images --bundle "$storage/bundle" gateway worker >/dev/null
check_image gateway skein-gateway skeinctl
((unpacked <= max_gateway_bytes)) || fail "skein-gateway: $unpacked bytes unpacked, expected at most $max_gateway_bytes"
check_image worker skein-worker

check_cuda_target

say 'starting both containers'
start worker "$PWD/deploy/demo-model" /model --model /model --name demo --listen 127.0.0.1:0
worker=$(address_in "$(wait_for worker listening)")
wait_for worker 'model ready' >/dev/null
"${podman[@]}" exec worker /opt/skein/bin/skein-worker --health-check "$worker" || fail 'the worker is not healthy'
# From scratch, an image has no resolver but the one that is linked in.
make_key
start gateway "$storage/keys" /run/secrets/keys --keys /run/secrets/keys --worker "dns:localhost:${worker##*:}" \
  --listen 127.0.0.1:0
gateway=$(address_in "$(wait_for gateway listening)")
url=http://$gateway
curl --silent --fail --output /dev/null --retry 100 --retry-delay 0 --retry-max-time 20 --retry-all-errors \
  "$url/readyz" || fail 'the gateway did not find the worker'
"${podman[@]}" exec gateway /opt/skein/bin/skein-gateway --health-check "$gateway" || fail 'the gateway is not healthy'
check_process worker
check_process gateway

say 'chatting'
equal 'the answer without a key' \
  "$(curl --silent --output /dev/null --write-out '%{http_code}' "$url/v1/models")" 401
equal 'the answer' "$("$skeinctl" chat --url "$url" --temperature 0 'What is 345 + 278?')" 623
say 'stopping both while a stream runs'
check_drain
say 'starting pods of the chart'
check_chart_pods
say 'done'
