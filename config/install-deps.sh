#!/usr/bin/env bash
# The one list of the Debian packages that Corral needs, and their installation.
#
#   config/install-deps.sh [build|package|test|page|bench|fuzz]    the default is test; each group holds those before it,
#                                                                  but the browser is in page only
#
# Does nothing, and quickly, if all are there. Services that come with a package (redis-server, nutcracker, prometheus)
# are neither started nor enabled if it was this script that installed them.
set -euo pipefail

build=(g++ cmake ninja-build ccache pkg-config
  libuv1-dev libssl-dev libhiredis-dev libxxhash-dev libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev robin-map-dev
  libcpp-httplib-dev prometheus-cpp-dev
  libgtest-dev libbenchmark-dev)
package=(dpkg-dev file gzip)
test=(redis-server redis-tools openssl patch adduser lintian man-db systemd prometheus)
# Node.js may have come another way, with an npm of its own that Debian's package does not go with.
command -v node >/dev/null && command -v npm >/dev/null || test+=(nodejs npm)
page=(chromium)
bench=(nutcracker)
fuzz=(clang libclang-rt-14-dev)

# Installed packages whose service would start by itself.
services=(redis-server nutcracker prometheus)

die() {
  echo "install-deps.sh: $*" >&2
  exit 1
}

case "${1:-test}" in
  build) wanted=("${build[@]}") ;;
  package) wanted=("${build[@]}" "${package[@]}") ;;
  test) wanted=("${build[@]}" "${package[@]}" "${test[@]}") ;;
  page) wanted=("${build[@]}" "${package[@]}" "${test[@]}" "${page[@]}") ;;
  bench) wanted=("${build[@]}" "${package[@]}" "${test[@]}" "${bench[@]}") ;;
  fuzz) wanted=("${build[@]}" "${package[@]}" "${test[@]}" "${bench[@]}" "${fuzz[@]}") ;;
  -h | --help)
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) die "unknown group '$1'; the groups are build, package, test, page, bench, fuzz" ;;
esac

# Those of its arguments that are not installed, one a line.
missing_of() {
  local installed
  # The state "ii " is: wanted, installed, no error. Unknown names are told on stderr and end in status 1: both meant.
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii //p') || true
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

mapfile -t missing < <(missing_of "${wanted[@]}")
((${#missing[@]})) || exit 0

if ((EUID != 0)); then
  die "these packages are missing, and only root may install them: ${missing[*]}
  sudo apt-get install ${missing[*]}"
fi
command -v apt-get >/dev/null || die "there is no apt-get here; install these by other means: ${missing[*]}"

# While packages are installed no service starts: the exit status 101 of this file means "not allowed".
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]}" >&2
apt-get update -qq </dev/null >&2 || die "apt-get update failed"
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >&2 || die "apt-get install failed"

# Neither now (a policy of the machine's own may have allowed it) nor at the next boot.
for service in "${services[@]}"; do
  [[ " ${missing[*]} " == *" $service "* ]] || continue
  if [[ -d /run/systemd/system ]]; then
    systemctl disable --now "$service" >/dev/null 2>&1 || true
  elif command -v update-rc.d >/dev/null; then
    update-rc.d "$service" disable >/dev/null 2>&1 || true
  fi
done

mapfile -t missing < <(missing_of "${wanted[@]}")
((${#missing[@]} == 0)) || die "still missing after the installation: ${missing[*]}"
