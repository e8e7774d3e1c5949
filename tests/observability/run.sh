#!/usr/bin/env bash
# run.sh static|live: checks deploy/prometheus and deploy/grafana, by themselves or under load. Exit status 77 (skipped) where Node, its
# packages or Prometheus are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
for program in node prometheus promtool openssl; do
  if ! command -v "$program" >/dev/null; then
    echo "skipped: $program is not installed"
    exit 77
  fi
done
for folder in . ../../tools/dashboards; do
  if [[ ! -d $folder/node_modules ]]; then
    echo "skipped: the npm packages are not installed; run npm ci in $folder"
    exit 77
  fi
done
exec node --test "${1:?static or live}.test.mjs"
