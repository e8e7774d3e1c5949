#!/usr/bin/env bash
# Formatting, and clang-tidy where compile_commands.json is given.
#
#   tools/check.sh                          clang-format on every file
#   tools/check.sh BUILD_DIR                also clang-tidy on files that the last commit changed
#   tools/check.sh BUILD_DIR FILE...        also clang-tidy on these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

git ls-files -z '*.h' '*.cc' '*.cu' '*.cuh' | xargs -0 clang-format --dry-run -Werror
echo "format: clean"

(($# == 0)) && exit 0
build=$1
shift
files=("$@")
if ((${#files[@]} == 0)); then
  mapfile -t files < <(git diff --name-only --diff-filter=d HEAD~1 -- '*.cc')
fi
((${#files[@]} == 0)) && exit 0
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$build"
echo "clang-tidy: clean"
