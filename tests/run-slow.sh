#!/usr/bin/env bash
# Installs what the tests labelled `slow` need, builds and runs them: fault injection into gateways and workers, and the
# fuzz targets, each for a minute, as many at a time as there are cores. Ends with CTest's summary and one line per fuzz
# target; exit status 0 if every test passed.
#
#   tests/run-slow.sh [CTEST ARGUMENTS]      such as -R fault, or -L fuzz
#
# SKEIN_FUZZ_SECONDS is how long each fuzz target runs (default: 60). What a fuzz target finds is kept in
# build/fuzz/fuzz-findings; running the target with that file as its argument shows it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=tests/lib.sh
source tests/lib.sh

# Of CTest's log: runs, runs per second and inputs that reached new code.
fuzz_summary() {
  awk '
    function row() { if (name != "" && runs != "") printf "%-24s %12s %10s %10s\n", name, runs, speed, inputs }
    BEGIN { printf "%-24s %12s %10s %10s\n", "fuzz target", "runs", "runs/s", "new inputs" }
    / Testing: / { row(); name = ""; runs = "" }
    / Testing: fuzz\// { name = $NF }
    /^stat::number_of_executed_units:/ { runs = $2 }
    /^stat::average_exec_per_sec:/ { speed = $2 }
    /^stat::new_units_added:/ { inputs = $2 }
    END { row() }' "$1"
}

say 'installing packages'
tools/install-packages.sh fuzz

build_tests cpu skein_slow_tests
build_tests fuzz skein_fuzzers "-DSKEIN_FUZZ_SECONDS=${SKEIN_FUZZ_SECONDS:-60}"

ulimit -n "$(ulimit -Hn)"  # fault tests open 10,000 connections

say 'running'
mkdir -p build/slow
printf 'subdirs("%s")\n' "$PWD/build/cpu" "$PWD/build/fuzz" >build/slow/CTestTestfile.cmake
status=0
ctest --test-dir build/slow --label-regex '^slow$' --output-on-failure --no-tests=error --parallel "$jobs" "$@" || status=$?
fuzz_summary build/slow/Testing/Temporary/LastTest.log
exit "$status"
