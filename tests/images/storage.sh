# Sourced by the tests of this folder: the tools that build and run images, with a storage of their own that is removed
# at the end, and a local Debian base in place of the one that a registry would give.
# shellcheck shell=bash

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
skip() {
  echo "skipped: $*"
  exit 77
}

# The base is kept between runs, the rest is not.
use_storage() {
  local cache=$1 tool
  for tool in buildah podman runc conmon mmdebstrap; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
  done
  ((EUID == 0)) || skip 'containers are built and run as root here'
  mkdir -p "$cache"
  storage=$(mktemp -d "$cache/storage.XXXXXX")
  runroot=$(mktemp -d /tmp/skein-images.XXXXXX) # podman wants a short path
  base=$cache/debian-bookworm.tar
  unshare --mount true 2>/dev/null || skip 'mount namespaces are not allowed here'
  # Copying whole layers, as vfs does, works everywhere, but takes its time.
  mkdir -p "$storage/try/"{lower,upper,work,merged}
  local driver=vfs
  unshare --mount mount -t overlay skein-try "$storage/try/merged" \
    -o "lowerdir=$storage/try/lower,upperdir=$storage/try/upper,workdir=$storage/try/work" 2>/dev/null && driver=overlay
  buildah=(buildah --storage-driver "$driver" --root "$storage/root" --runroot "$runroot/run")
  podman=(podman --storage-driver "$driver" --root "$storage/root" --runroot "$runroot/run"
    --tmpdir "$runroot/tmp" --runtime runc --cgroup-manager cgroupfs)
}

remove_storage() {
  [[ -n "${storage:-}" ]] || return 0
  "${podman[@]}" pod rm --all --force --time 0 >/dev/null 2>&1 || true
  "${podman[@]}" rm --all --force --time 0 >/dev/null 2>&1 || true
  local mounted
  while read -r _ mounted _; do
    [[ "$mounted" == "$storage"/* || "$mounted" == "$runroot"/* ]] && umount "$mounted"
  done < <(tac /proc/mounts)
  rm -rf "$storage" "$runroot"
}

# Makes the image that the Dockerfile knows as debian:bookworm-slim.
make_base() {
  if [[ ! -s "$base" ]]; then
    mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$base.part.tar"
    mv "$base.part.tar" "$base"
  fi
  mkdir "$storage/base"
  ln "$base" "$storage/base/rootfs.tar"
  printf 'FROM scratch\nADD rootfs.tar /\n' >"$storage/base/Dockerfile"
  "${buildah[@]}" bud --quiet --tag docker.io/library/debian:bookworm-slim "$storage/base" >/dev/null
}

# build_images ARGUMENT...: docker/build.sh with this storage.
build_images() {
  SKEIN_IMAGE_BUILD="${buildah[*]} bud --quiet --format docker --layers --isolation chroot --pull-never ${build_flags:-}" \
    docker/build.sh --tag test "$@"
}
