#!/usr/bin/env bash
# Builds images of skein: by default skein-gateway and skein-worker, from source.
#
#   docker/build.sh [--bundle FOLDER] [--tag TAG] [TARGET...]
#
# TARGET     gateway, worker or worker-cuda
# --bundle   takes the programs of FOLDER, made by tools/bundle.sh on Debian 12, and compiles nothing
# --tag      of the images, instead of the version in CMakeLists.txt
#
# SKEIN_IMAGE_BUILD is the command to build with; by default docker buildx, podman or buildah, whichever is there.
# SKEIN_IMAGE_SOURCE is the address of the source in the images' labels.
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")

usage() {
  sed -n 's/^# \{0,1\}//; 2,11p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

version=$(sed -nE 's/^project\(skein VERSION ([0-9.]+).*/\1/p' "$root/CMakeLists.txt")
revision=$(git -C "$root" describe --always --abbrev=40 --dirty 2>/dev/null || echo unknown)
tag=$version bundle='' targets=()
while (($# > 0)); do
  case "$1" in
    --bundle) bundle=$(realpath "${2:?--bundle needs a folder}") && shift ;;
    --tag) tag=${2:?--tag needs a tag} && shift ;;
    gateway | worker | worker-cuda) targets+=("$1") ;;
    *) usage ;;
  esac
  shift
done
((${#targets[@]})) || targets=(gateway worker)

if [[ -n "${SKEIN_IMAGE_BUILD:-}" ]]; then
  read -ra build <<<"$SKEIN_IMAGE_BUILD"
elif docker buildx version >/dev/null 2>&1; then
  build=(docker buildx build --load)
elif command -v podman >/dev/null; then
  build=(podman build --format docker --layers)
elif command -v buildah >/dev/null; then
  build=(buildah bud --format docker --layers)
else
  echo "$0: found none of docker buildx, podman and buildah" >&2
  exit 1
fi

arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision"
  --build-arg "SOURCE=${SKEIN_IMAGE_SOURCE:-unknown}")
if [[ -n "$bundle" ]]; then
  arguments+=(--build-context "bundle=$bundle" --build-context "bundle-cuda=$bundle")
fi
for target in "${targets[@]}"; do
  "${build[@]}" --file "$root/docker/Dockerfile" --target "$target" --tag "skein-$target:$tag" \
    "${arguments[@]}" "$root"
done
