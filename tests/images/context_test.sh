#!/usr/bin/env bash
# What .dockerignore lets through is enough to configure and build the programs of the images; without their tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
sed -n 's/^!//p' .dockerignore | xargs tar --create --exclude=node_modules | tar --extract --directory "$context"
cd "$context"
[[ -x docker/compile.sh && -x docker/make-root.sh ]]
cmake --preset cpu -B build -DBUILD_TESTING=OFF --log-level=WARNING >/dev/null
ninja -C build -n skein-gateway skein-worker >/dev/null
