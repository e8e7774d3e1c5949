#!/usr/bin/env bash
# Makes the root file system of an image from scratch: programs of /opt/skein/bin, the libraries that they link with
# (their own from /opt/skein/lib, those of the C and C++ runtime from this system), CA certificates and a user without
# rights.
#
#   make-root.sh ROOT PROGRAM...
set -euo pipefail
root=$1
programs=("${@:2}")

# install_library PATH: the file behind PATH, with a name that the loader looks for.
install_library() { install -D -m 755 "$(realpath "$1")" "$root$(realpath -m -s "$1")"; }

install_program() {
  local program=$1 libraries library
  install -D -m 755 "$program" "$root$program"
  libraries=$(ldd "$program")
  if grep 'not found' <<<"$libraries" >&2; then
    echo "$0: $program does not run on this system; bundles must be made on Debian 12" >&2
    exit 1
  fi
  # "name => path (address)" and, for the loader, "path (address)"
  while read -r library; do install_library "$library"; done < <(grep -o '/[^ ]*' <<<"$libraries")
}

for program in "${programs[@]}"; do install_program "/opt/skein/bin/$program"; done

install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/:/nonexistent
skein:x:65532:65532:skein:/:/nonexistent
END
printf 'root:x:0:\nskein:x:65532:\n' >"$root/etc/group"
# The C library has both sources built in.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

# Nothing is missing. The loader finds the program's own folder through /proc, which is not mounted here.
for program in "${programs[@]}"; do
  LD_LIBRARY_PATH=/opt/skein/lib chroot "$root" "/opt/skein/bin/$program" --help >/dev/null
done
