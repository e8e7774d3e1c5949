#!/usr/bin/env bash
# Installs what the tests need, builds and runs everything.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --workflow --preset cpu
