#!/usr/bin/env bash
# Installs skein as systemd services: programs in /opt/skein, units, the user skein, and example configurations in
# /etc/skein where there are none yet. Run it again to upgrade, then restart the services.
#
#   deploy/local/install.sh BUNDLE      BUNDLE was made by tools/bundle.sh
#
# With DESTDIR it only puts files there, owned by whoever runs it.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
bundle=${1:?usage: deploy/local/install.sh BUNDLE}
root=${DESTDIR:-}

units=$root/etc/systemd/system
configs=$root/etc/skein

install -d "$root/opt/skein/bin" "$root/opt/skein/lib" "$units" "$root/etc/sysusers.d" "$root/var/lib/skein"
# New files in place of the old ones, which running processes still have open.
install -m 755 "$bundle"/bin/* "$root/opt/skein/bin"
install -m 644 "$bundle"/lib/* "$root/opt/skein/lib"
install -m 644 "$here/skein-gateway.service" "$here/skein-worker@.service" "$units"
install -m 644 "$here/sysusers.conf" "$root/etc/sysusers.d/skein.conf"

group=()
if [[ -z "$root" ]]; then
  systemd-sysusers skein.conf
  group=(--group skein)
fi
install -d -m 750 "${group[@]}" "$configs"
for file in gateway.txtpb worker-demo.txtpb; do
  [[ -e "$configs/$file" ]] || install -m 640 "${group[@]}" "$here/$file" "$configs"
done
[[ -n "$root" ]] || systemctl daemon-reload
