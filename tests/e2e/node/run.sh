#!/usr/bin/env bash
# Runs the tests with the OpenAI client; exit status 77 (skipped) where Node or its packages are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if ! command -v node >/dev/null; then
  echo 'skipped: node is not installed'
  exit 77
fi
if [[ ! -d node_modules/openai || ! -d node_modules/@grpc/grpc-js ]]; then
  echo 'skipped: the npm packages are not installed; run npm ci here'
  exit 77
fi
exec node --test
