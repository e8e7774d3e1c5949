#!/usr/bin/env bash
# Packs built programs with the shared libraries that they need, to run on another machine of the same architecture
# with a current glibc, libstdc++ and, for CUDA, the driver and CUDA 13. Programs look for libraries in ../lib first.
#
#   tools/bundle.sh [--max-mib N] BUILD [OUT] [PROGRAM ...]
#
# BUILD is a build folder, OUT the folder to make (.bundle). Without names it takes the worker, the gateway and the
# tools; any other executable of the build, such as time_mix_wkv_test, can be named. Run OUT/bin/PROGRAM from anywhere.
# --max-mib fails if the checkout's own files and the bundle are over N MiB together, without the source's history.
set -euo pipefail

max_mib=
if [[ "${1:-}" == --max-mib && "${2:-}" =~ ^[0-9]{1,6}$ ]]; then
  max_mib=$2
  shift 2
fi
if (($# < 1)) || [[ "$1" == -* ]]; then
  sed -n 's/^# \{0,1\}//; 2,9p' "$0" >&2
  exit 2
fi
build=$(realpath "$1")
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
out=${2:-$root/.bundle}
programs=("${@:3}")
((${#programs[@]})) || programs=(skein-worker skein-gateway skeinctl skein-eval skein-bench)

# What every machine has, or what belongs to its driver and CUDA.
provided='^(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|stdc\+\+|gcc_s|cuda|cudart|cublas|cublasLt|nccl|nvidia-.*))\.so'

rm -rf "$out"
mkdir -p "$out/bin" "$out/lib"

for program in "${programs[@]}"; do
  mapfile -t found < <(find "$build" -name "$program" -type f -perm -u+x -not -path '*/CMakeFiles/*')
  if ((${#found[@]} != 1)); then
    echo "$0: $build has ${#found[@]} programs \"$program\", expected one" >&2
    exit 1
  fi
  strip --strip-unneeded -o "$out/bin/$program" "${found[0]}"
done

missing=$(ldd "$out"/bin/* | grep 'not found' || true)
if [[ -n "$missing" ]]; then
  printf '%s: libraries are missing here:\n%s\n' "$0" "$missing" >&2
  exit 1
fi
ldd "$out"/bin/* | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | while read -r library; do
  name=${library##*/}
  [[ "$name" =~ $provided ]] && continue
  strip --strip-unneeded -o "$out/lib/$name" "$(realpath "$library")"
done
bytes_of() { awk '{sum += $1} END {print sum + 0}'; }
checkout=0
if git -C "$root" rev-parse >/dev/null 2>&1; then
  checkout=$(git -C "$root" ls-files -z | (cd "$root" && xargs -0 stat -c %s) | bytes_of)
fi
bundle=$(find "$out" -type f -printf '%s\n' | bytes_of)
printf 'checkout %d.%d MiB, bundle %d.%d MiB in %s\n' \
  $((checkout >> 20)) $((checkout * 10 / 1048576 % 10)) $((bundle >> 20)) $((bundle * 10 / 1048576 % 10)) "$out"
if [[ -n "$max_mib" ]] && ((checkout + bundle > 10#$max_mib << 20)); then
  echo "$0: together over $max_mib MiB" >&2
  exit 1
fi
