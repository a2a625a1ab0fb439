#!/usr/bin/env bash
# The package that a build makes: what is in it, what lintian and systemd say of it, and whether it comes and goes without
# a trace.
#
#   package_test.sh BUILD_DIR
#
# Needs root: it is installed for real, by dpkg, in a layer over this machine's own files (overlayfs in a mount namespace
# of its own), which is gone with the test.
set -euo pipefail

build=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/corral-package.XXXXXX")
trap 'rm -rf "$dir"' EXIT

fail() {
  printf 'package_test: %s\n' "$*" >&2
  exit 1
}

step() { printf -- '--- %s\n' "$*"; }

((EUID == 0)) || fail "it must run as root, since it installs the package (in a layer of its own, which is then gone)"

build_package() {
  step "cpack"
  (cd "$dir" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$dir/deb") >"$dir/cpack.log" 2>&1 || {
    cat "$dir/cpack.log"
    fail "cpack failed"
  }
  deb=$(echo "$dir"/deb/*.deb)
  mkdir "$dir/content"
  dpkg-deb -x "$deb" "$dir/content"
}

check_contents() {
  step "contents"
  dpkg-deb -c "$deb" | awk '{ print $1, $2, $6 }' | grep -v '/$' | sort -k3 >"$dir/contents"
  diff - "$dir/contents" <<'END' || fail "the package holds other files, owners or modes"
-rw-r--r-- root/root ./etc/corral/corral.toml
-rw-r--r-- root/root ./lib/systemd/system/corral.service
-rwxr-xr-x root/root ./usr/bin/corral
-rw-r--r-- root/root ./usr/share/doc/corral/changelog.Debian.gz
-rw-r--r-- root/root ./usr/share/doc/corral/copyright
-rw-r--r-- root/root ./usr/share/man/man1/corral.1.gz
-rw-r--r-- root/root ./usr/share/man/man5/corral.toml.5.gz
END
  cmp "$here/../../config/corral.toml" "$dir/content/etc/corral/corral.toml" || fail "the settings are not the annotated file"
  local library
  for library in libc6 libuv1 libssl3 libstdc++6; do
    dpkg-deb -f "$deb" Depends | grep -qF "$library" || fail "it does not depend on $library"
  done
  [[ $(dpkg-deb -f "$deb" Version) == "$("$build/corral" --version | sed 's/^corral //')-1" ]] || fail "the version is another"
}

check_lintian() {
  step "lintian"
  lintian --allow-root --fail-on error "$deb" || fail "lintian finds errors"
}

# Every flag and every setting has its paragraph, and neither page is one that groff complains of.
check_manual_pages() {
  step "manual pages"
  local page said flag
  for page in "$dir"/content/usr/share/man/man?/*.gz; do
    said=$(MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings -l "$page" 2>&1 >"$dir/page.txt")
    [[ -z $said && -s $dir/page.txt ]] || fail "$page: $said"
  done
  zcat "$dir/content/usr/share/man/man1/corral.1.gz" | sed 's/\\-/-/g' >"$dir/flags.1"
  for flag in $("$build/corral" --help | grep -oE -- '--[a-z-]+'); do
    grep -qE "^\.BI? $flag( |$)|^\.BR .*$flag$" "$dir/flags.1" || fail "corral(1) does not tell of $flag"
  done
  zcat "$dir/content/usr/share/man/man5/corral.toml.5.gz" >"$dir/settings.5"
  grep -oE '^(# )?[a-z_]+ = ' "$dir/content/etc/corral/corral.toml" | sed 's/^# //; s/ = //' | sort >"$dir/settings"
  grep -oE '^\\fB[a-z_]+ = ' "$dir/settings.5" | sed 's/^\\fB//; s/ = //' | sort | diff "$dir/settings" - ||
    fail "corral.toml(5) does not tell of all settings"
}

# Elsewhere than in the system: the unit names what was installed, and settings that are there stay.
check_install_elsewhere() {
  step "cmake --install --prefix"
  cmake --install "$build" --prefix "$dir/elsewhere" >/dev/null
  grep -qxF "ExecStart=$dir/elsewhere/bin/corral --config $dir/elsewhere/etc/corral/corral.toml" \
    "$dir/elsewhere/lib/systemd/system/corral.service" || fail "the unit does not name what was installed"
  echo '# mine' >"$dir/elsewhere/etc/corral/corral.toml"
  cmake --install "$build" --prefix "$dir/elsewhere" >/dev/null
  [[ $(<"$dir/elsewhere/etc/corral/corral.toml") == '# mine' ]] || fail "settings were written over"
  "$dir/elsewhere/bin/corral" --check --config "$dir/elsewhere/etc/corral/corral.toml" >/dev/null
}

build_package
check_contents
check_lintian
check_manual_pages
check_install_elsewhere
step "installation and purge"
# The namespace's mounts are nobody else's; what it mounts ends with its last process.
unshare --mount "$here/installed_test.sh" "$deb" "$dir"
