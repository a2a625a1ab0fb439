#!/usr/bin/env bash
# Installs a package in a layer over this machine's files, looks at what is there, installs it again over changed
# settings, and purges it. For package_test.sh, which gives it a mount namespace of its own.
#
#   installed_test.sh DEB DIR
set -euo pipefail

deb=$1 dir=$2

fail() {
  printf 'installed_test: %s\n' "$*" >&2
  exit 1
}

# What the layer holds is in $layer/upper: all that differs from the machine.
layer=$dir/layer root=$dir/layer/root
mkdir "$layer"
mount -t tmpfs corral-package "$layer"
mkdir "$layer/upper" "$layer/work" "$root"
mount -t overlay corral-package -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs corral-package "$root/run" # so without /run/systemd/system: no service of the machine is touched
mkdir -p "$root/package"
cp "$deb" "$root/package/corral.deb"

# in_layer COMMAND...: there.
in_layer() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

# Without the triggers of other packages, such as man-db's index of all pages, which takes longer than all else here.
package() { in_layer dpkg --no-triggers "$@"; }

# shellcheck disable=SC2016  # dpkg-query's own variable
installed() { [[ $(in_layer dpkg-query -W -f '${db:Status-Abbrev}' corral 2>/dev/null) == "$1 " ]]; }

# A machine that has it already shows nothing.
! installed ii || package --purge corral
cp "$root/etc/passwd" "$root/etc/group" "$dir"

package -i /package/corral.deb || fail "dpkg cannot install it"
installed ii || fail "it is not installed"
in_layer dpkg -V corral || fail "files are not as they were packed"
[[ $(in_layer stat -c '%U:%G %a' /etc/corral/corral.toml) == 'root:corral 640' ]] || fail "the settings can be read by others"
in_layer getent passwd corral | grep -q ':/nonexistent:/usr/sbin/nologin$' || fail "the user corral is not as it should be"
in_layer runuser -u corral -- /usr/bin/corral --check --config /etc/corral/corral.toml || fail "the settings are not valid"
in_layer man -w corral corral.toml >/dev/null || fail "the manual pages are not found"

said=$(in_layer systemd-analyze verify corral.service 2>&1) || fail "systemd-analyze verify: $said"
[[ -z $said ]] || fail "systemd-analyze verify: $said"
# The threshold is ten times the exposure.
in_layer systemd-analyze security --offline=true --threshold=20 --no-pager corral.service >"$dir/security" 2>&1 || {
  cat "$dir/security"
  fail "the unit is too exposed"
}
grep 'Overall exposure' "$dir/security"

# An upgrade leaves what the administrator has changed, and who may read it.
echo '# changed' >>"$root/etc/corral/corral.toml"
in_layer chmod 600 /etc/corral/corral.toml
package -i --force-confdef --force-confold /package/corral.deb
[[ $(tail -n 1 "$root/etc/corral/corral.toml") == '# changed' ]] || fail "an upgrade has undone a change of the settings"
[[ $(in_layer stat -c %a /etc/corral/corral.toml) == 600 ]] || fail "an upgrade has changed the mode of the settings"

# Removed, the settings stay; purged, nothing does.
package --remove corral
installed rc || fail "after the removal it is neither removed nor with its settings"
[[ -f $root/etc/corral/corral.toml && ! -e $root/usr/bin/corral ]] || fail "a removal removes the program and leaves the settings"
package --purge corral
! installed rc || fail "it is not purged"
{ cmp "$dir/passwd" "$root/etc/passwd" && cmp "$dir/group" "$root/etc/group"; } || fail "the user or its group is left"
# No traces are the records of what dpkg has done, files of the machine that are gone (devices, to overlayfs), and pages
# that man has kept since systemd-analyze looked for them.
left=$(find "$layer/upper" \( -path "$layer/upper/package" -o -path "$layer/upper/var/cache/man" \) -prune -o \
  -name '*corral*' ! -type c -print)
[[ -z $left ]] || fail "left after the purge: $left"
