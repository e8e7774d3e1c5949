#!/usr/bin/env bash
# Inside the compiling stages of the Dockerfile: builds programs and packs them into /bundle.
#
#   compile.sh PRESET PROGRAM...
set -euo pipefail
preset=$1
programs=("${@:2}")

# One compiler needs up to 2 GB.
by_memory=$(awk '/^MemAvailable:/ {print int($2 / 2000000)}' /proc/meminfo)
jobs=$(nproc)
((by_memory < jobs)) && jobs=$by_memory
((jobs < 1)) && jobs=1

cmake --preset "$preset" -B /build -DBUILD_TESTING=OFF --log-level=WARNING
cmake --build /build --parallel "$jobs" --target "${programs[@]}"
tools/bundle.sh /build /bundle "${programs[@]}"
