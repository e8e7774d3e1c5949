#!/usr/bin/env bash
# bundle_test.sh BUILD: a bundled program runs with the bundle's libraries, and mistakes are named.
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
build=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

fail() { echo "bundle_test: $*" >&2; exit 1; }

"$root/tools/bundle.sh" "$build" "$out/bundle" skein-eval skein-bench
mv "$out/bundle" "$out/moved"
(cd / && "$out/moved/bin/skein-bench" --help | grep -q 'usage: skein-bench COMMAND') || fail 'skein-bench does not run'
while read -r library path; do
  [[ -e "$out/moved/lib/$library" && "$path" != "$out/moved/bin/../lib/$library" ]] && fail "$library comes from $path"
done < <(ldd "$out/moved/bin/skein-eval" | awk '$2 == "=>" {print $1, $3}')
[[ -n "$(ls "$out/moved/lib")" ]] || fail 'no libraries'
if "$root/tools/bundle.sh" "$build" "$out/other" no-such-program 2>"$out/error"; then fail 'bundled a program that is not there'; fi
grep -q '0 programs "no-such-program"' "$out/error" || fail "said: $(cat "$out/error")"
"$root/tools/bundle.sh" --max-mib 100000 "$build" "$out/small" skein-bench | grep -q '^checkout .* MiB, bundle .* MiB in' || fail 'no sizes'
if "$root/tools/bundle.sh" --max-mib 1 "$build" "$out/large" skein-bench 2>"$out/error"; then fail 'took more than the limit'; fi
grep -q 'together over 1 MiB' "$out/error" || fail "said: $(cat "$out/error")"
if "$root/tools/bundle.sh" --max-mib few "$build" 2>"$out/error"; then fail 'took a limit that is no number'; fi
grep -q 'tools/bundle.sh \[--max-mib N\]' "$out/error" || fail "said: $(cat "$out/error")"
