#!/usr/bin/env bash
# Types, lint, format, layers, unused code, stale coverage page. Each check prints one line; all run even if one fails. Exit 1 if any failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
status=0
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    printf 'check %-8s passed\n' "$name"
  else
    printf 'check %-8s FAILED\n%s\n' "$name" "$output"
    status=1
  fi
}
check types tsc
check lint oxlint --type-aware
check format oxfmt --check .
check layers node tools/check-layers.ts
check unused knip
check coverage node tools/write-coverage.ts --check
exit "$status"
