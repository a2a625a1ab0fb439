#!/usr/bin/env bash
# Puts the tests and the packages that they use, in the versions of package-lock.json, into the folder given, so that a
# checkout stays clean. Asks the registry only if that has not been done for this lock file.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
to=$1
stamp=$to/node_modules/.package-lock.installed

mkdir -p "$to"
rm -f "$to"/*.mjs
cp "$here"/*.mjs "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$to"
cmp -s "$here/package-lock.json" "$stamp" && exit 0
(cd "$to" && npm ci --prefer-offline)
cp "$here/package-lock.json" "$stamp"
