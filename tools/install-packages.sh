#!/usr/bin/env bash
# Installs the Debian 12 packages that skein is built and tested with: only those that are missing.
#
#   tools/install-packages.sh build     what building and running needs
#   tools/install-packages.sh test      that, and what the tests need
#   tools/install-packages.sh fuzz      that, and what the fuzz targets need
set -euo pipefail

build_packages=(
  g++ cmake ninja-build pkg-config ccache mold
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev grpc-proto
  libabsl-dev prometheus-cpp-dev libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  libssl-dev zlib1g-dev libpcre2-dev libutf8proc-dev
  curl ca-certificates
)
test_packages=(
  libgtest-dev libgmock-dev libbenchmark-dev shellcheck git
  buildah podman runc conmon catatonit mmdebstrap systemd unzip openssl prometheus
)
fuzz_packages=(clang-14 libclang-rt-14-dev)

case "${1:-}" in
  build) wanted=("${build_packages[@]}") ;;
  test | fuzz)
    wanted=("${build_packages[@]}" "${test_packages[@]}")
    [[ "$1" == fuzz ]] && wanted+=("${fuzz_packages[@]}")
    # Node may come from elsewhere, and then brings its own npm.
    command -v node >/dev/null || wanted+=(nodejs)
    command -v npm >/dev/null || wanted+=(npm)
    ;;
  *)
    echo "usage: $0 build|test|fuzz" >&2
    exit 2
    ;;
esac

installed() { [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

missing=()
for package in "${wanted[@]}"; do
  installed "$package" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "packages: all there"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "$0: these packages are missing, and there is neither root nor sudo to install them: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "packages: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
  >/dev/null
