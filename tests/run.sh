#!/usr/bin/env bash
# Installs what the tests need, builds and runs all of them but those labelled `slow`: in the build `cpu`, and those
# labelled `asan` and `tsan` again under AddressSanitizer and ThreadSanitizer. Ends with CTest's summary of them all and
# the folders whose npm packages could not be installed; exit status 0 if every test passed.
#
#   tests/run.sh [CTEST ARGUMENTS]      such as -R e2e
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=tests/lib.sh
source tests/lib.sh

warn_of_packages() {
  echo "npm packages of $1: could not be installed; the tests that need them are skipped" >&2
}

# CUDA code is compiled, at least, where there is a compiler for it.
compile_cuda() {
  local nvcc
  nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
  [[ -x "$nvcc" ]] || return 0
  say 'compiling CUDA code for sm_90a'
  mkdir -p build/cuda-objects
  # shellcheck disable=SC2016  # $1 and $2 are the inner shell's
  find kernels worker tools tests -name '*.cu' -print0 | xargs -0 -r -I SOURCE -P "$jobs" bash -euc '
    object=build/cuda-objects/${2//\//_}.o
    ccache "$1" -std=c++20 -arch=sm_90a -Xcompiler=-Wall,-Wextra --Werror=all-warnings -DSKEIN_CUDA=1 -I. \
      -c "$2" -o "$object"' compile "$nvcc" SOURCE
}

say 'installing packages'
tools/install-packages.sh test
without_packages=()
for folder in tests/e2e/node tests/helm tests/images tests/observability tools/dashboards; do
  if (cd "$folder" && npm ci --no-audit --no-fund --silent); then
    echo "npm packages of $folder: all there"
  else
    without_packages+=("$folder")
    warn_of_packages "$folder"
  fi
done

build_tests cpu all
build_tests asan skein_tests -DSKEIN_TEST_LABEL=asan
build_tests tsan skein_tests -DSKEIN_TEST_LABEL=tsan
compile_cuda

say 'running'
mkdir -p build/all
printf 'subdirs("%s")\n' "$PWD/build/cpu" "$PWD/build/asan" "$PWD/build/tsan" >build/all/CTestTestfile.cmake
status=0
ctest --test-dir build/all --label-exclude slow --output-on-failure --no-tests=error --parallel "$jobs" "$@" || status=$?
for folder in "${without_packages[@]}"; do warn_of_packages "$folder"; done
exit "$status"
