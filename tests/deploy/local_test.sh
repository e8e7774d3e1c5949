#!/usr/bin/env bash
# local_test.sh BUILD: installs the systemd services into a folder and checks units and configurations there. Exit status
# 77 (skipped) where systemd-analyze is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
if ! command -v systemd-analyze >/dev/null; then
  echo 'skipped: systemd-analyze is not installed'
  exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
root=$out/root

tools/bundle.sh "$1" "$out/bundle" skein-gateway skein-worker >/dev/null
DESTDIR=$root deploy/local/install.sh "$out/bundle"

# Again, as for an upgrade: what was configured stays.
echo 'log_level: "debug"' >>"$root/etc/skein/gateway.txtpb"
DESTDIR=$root deploy/local/install.sh "$out/bundle"
grep -q 'log_level: "debug"' "$root/etc/skein/gateway.txtpb" || fail 'an upgrade replaced the configuration'

# The units that they want are the system's own.
mkdir -p "$root/usr/lib/systemd/system"
for unit in network-online.target sysinit.target basic.target shutdown.target multi-user.target; do
  printf '[Unit]\nDescription=stand-in\n' >"$root/usr/lib/systemd/system/$unit"
done
for unit in skein-gateway.service skein-worker@demo.service; do
  systemd-analyze verify --man=no --root="$root" "$unit" >"$out/verify" 2>&1 || fail "$unit: $(cat "$out/verify")"
  [[ ! -s "$out/verify" ]] || fail "$unit: $(cat "$out/verify")"
done
# The drop-in for GPUs, which is copied by hand.
cp -r deploy/local/skein-worker@.service.d "$root/etc/systemd/system/"
systemd-analyze verify --man=no --root="$root" skein-worker@demo.service >"$out/verify" 2>&1 || fail "cuda.conf: $(cat "$out/verify")"
[[ ! -s "$out/verify" ]] || fail "cuda.conf: $(cat "$out/verify")"
cache=$(sed -n 's/^CacheDirectory=//p' deploy/local/skein-worker@.service.d/cuda.conf)
[[ $cache == skein ]] || fail "the worker keeps its measurements in skein of XDG_CACHE_HOME, and may write $cache"

for unit in deploy/local/*.service; do
  systemd-analyze security --offline=yes --threshold=20 --no-pager "$unit" >"$out/security" 2>&1 ||
    fail "$unit: $(tail -n 1 "$out/security")"
done

# What the units run, with the installed examples in place of /etc/skein.
for unit in "$root"/etc/systemd/system/*.service; do
  command=$(sed -n 's/^ExecStart=//p' "$unit" | sed "s/%i/demo/g; s/ [$]SKEIN_FLAGS//; s| /etc/| $root/etc/|; s|^/|$root/|")
  # shellcheck disable=SC2086  # words
  said=$($command --check-config 2>&1) || fail "$unit: $said"
  config=$(grep -o "$root/etc/[^ ]*" <<<"$command")
  drain=$(sed -nE 's/^drain_timeout_s: //p' "$config")
  (($(sed -n 's/^TimeoutStopSec=//p' "$unit") > drain)) || fail "$unit is killed before it has drained"
done
