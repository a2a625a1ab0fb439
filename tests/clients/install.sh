#!/usr/bin/env bash
# Puts tests and the packages that they use, in the versions of package-lock.json, into a folder, so that a checkout
# stays clean. Asks the registry only if that has not been done for this lock file.
#
#   install.sh TO [FROM]    FROM is the tests' folder, by default this one, whose support.mjs all have
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
to=$1 from=${2:-$here}
stamp=$to/node_modules/.package-lock.installed

mkdir -p "$to"
rm -f "$to"/*.mjs
cp "$here/support.mjs" "$here/.npmrc" "$to"
cp "$from"/*.mjs "$from/package.json" "$from/package-lock.json" "$to"
cmp -s "$from/package-lock.json" "$stamp" && exit 0
(cd "$to" && npm ci --prefer-offline)
cp "$from/package-lock.json" "$stamp"
