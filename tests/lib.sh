# shellcheck shell=bash
# What tests/run.sh and tests/run-slow.sh share. To be sourced, in the root of the checkout.

say() { printf '\n[%3d s] %s\n' "$SECONDS" "$*"; }

# One compiler needs up to 2 GB.
by_memory=$(awk '/^MemAvailable:/ {print int($2 / 2000000)}' /proc/meminfo)
jobs=$(nproc)
((by_memory < jobs)) && jobs=$by_memory
((jobs < 1)) && jobs=1

# build_tests PRESET TARGET [CMAKE ARGUMENTS]
build_tests() {
  local preset=$1 target=$2
  shift 2
  say "building: $preset"
  cmake --preset "$preset" -DBUILD_TESTING=ON --log-level=WARNING "$@" >/dev/null
  cmake --build --preset "$preset" --parallel "$jobs" --target "$target"
}
