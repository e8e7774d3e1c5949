# Sourced by images_test.sh: pods of the chart, started from the images by podman.
# shellcheck shell=bash disable=SC2154  # what it uses is set by the test

# play FILE: with the limits that run takes as arguments.
play() {
  printf '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=1024:1024"]\n' >"$storage/containers.conf"
  CONTAINERS_CONF=$storage/containers.conf "${podman[@]}" play kube --network host --log-driver k8s-file "$1" >/dev/null
}

# play_deployment NAME [FROM=TO...]: a Deployment of the chart, with FROM in its configuration replaced.
play_deployment() {
  node tests/helm/playable.mjs "$storage/values.yaml" "r-skein-$1" "${@:2}" >"$storage/$1.yaml"
  play "$storage/$1.yaml"
}

chart_log() { "${podman[@]}" logs "$1" 2>&1; }

# chart_address CONTAINER: what it listens on, from its log in either format.
chart_address() {
  local tries line
  for ((tries = 0; tries < 300; ++tries)); do
    line=$(chart_log "$1" | grep -m 1 -E 'event"?[=:]"listening"' || true)
    [[ -n "$line" ]] && sed -E 's/.*[ "]address"?[=:]"?([^" ]+).*/\1/' <<<"$line" && return 0
    sleep 0.1
  done
  fail "$1 did not listen: $(chart_log "$1" | tail -n 5)"
}

check_chart_pods() {
  if ! tests/helm/run.sh --prepare; then
    say 'no pods of the chart'
    return 0
  fi
  local worker=r-skein-worker-demo-pod-0-worker gateway=r-skein-gateway-pod-0-gateway address
  cat >"$storage/values.yaml" <<END
gateway: {allowNoKeys: true, image: {registry: localhost, tag: test}}
worker: {image: {registry: localhost, tag: test}}
models:
  demo: {path: demo-model, volume: {source: {hostPath: {path: $PWD/deploy, type: Directory}}}}
END
  play_deployment worker-demo
  address=$(chart_address "$worker")
  play_deployment gateway "r-skein-worker-demo.llm.svc.cluster.local:50051=localhost:${address##*:}"
  address=$(chart_address "$gateway")
  curl --silent --fail --output /dev/null --retry 100 --retry-delay 0 --retry-max-time 20 --retry-all-errors \
    "http://$address/readyz" || fail 'the gateway of the chart did not find its worker'
  check_process "$worker"
  check_process "$gateway"
  equal "the answer of the chart's pods" \
    "$("$skeinctl" chat --url "http://$address" --temperature 0 'What is 345 + 278?')" 623
  "${podman[@]}" kill --signal TERM "$gateway" "$worker" >/dev/null
  equal "the exit status of the chart's gateway" "$(timeout 30 "${podman[@]}" wait "$gateway")" 0
  equal "the exit status of the chart's worker" "$(timeout 30 "${podman[@]}" wait "$worker")" 0
}
