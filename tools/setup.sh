#!/usr/bin/env bash
# Sets up what is missing: Debian packages (by the command they bring) and npm packages. Safe to run again; says what it does.
#   tools/setup.sh            what Tidegate runs on
#   tools/setup.sh --tests    and what its tests need
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lists=(tools/packages.txt)
[ "${1:-}" = --tests ] && lists+=(tools/test-packages.txt)

say() { printf 'setup: %s\n' "$*" >&2; }

missing_packages() {
  local command package
  cat "${lists[@]}" | grep -v '^#' | while read -r command package; do
    [ -n "$command" ] || continue
    PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null 2>&1 || echo "$package"
  done | sort -u
}

# Packaged services stay stopped: Tidegate starts its own copies. An existing policy is kept.
without_services() {
  local policy=/usr/sbin/policy-rc.d made=no status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=yes
  fi
  "$@" || status=$?
  [ "$made" = no ] || rm -f "$policy"
  return "$status"
}

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages)
  [ "${#packages[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    say "missing: ${packages[*]}. Run this as root, or: apt-get install ${packages[*]}"
    return 1
  fi
  if ! command -v apt-get >/dev/null; then
    say "missing: ${packages[*]}. This machine has no apt-get: install them by its own means and run this again."
    return 1
  fi
  say "installing Debian packages: ${packages[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get update -qq
  DEBIAN_FRONTEND=noninteractive without_services apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

install_modules() {
  local stamp=node_modules/.tidegate-lock
  if [ -x node_modules/.bin/node ] && cmp -s package-lock.json "$stamp"; then return 0; fi
  command -v npm >/dev/null || { say "npm is missing: install Node.js (any version from 18 on brings it)"; return 1; }
  say "installing npm packages (Node $(sed -n 's/.*"node": "\([0-9.]*\)".*/\1/p' package.json | head -1) among them)"
  # Not `npm ci`: it refuses a lock file that lacks the optional binaries of platforms other than the one it was written on.
  npm install --no-save --no-fund --no-audit --loglevel=error >&2
  cp package-lock.json "$stamp"
}

install_packages
install_modules
