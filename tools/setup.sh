#!/usr/bin/env bash
# Sets up what is missing: Debian packages (by the command they bring) and npm packages. Safe to run again; says what it does.
#   tools/setup.sh            what Tidegate runs on
#   tools/setup.sh --tests    and what its tests need
#   tools/setup.sh --missing  only prints the Debian packages that it would install (with --tests: for those too)
# What a machine has stays: apt may add packages, never remove or replace one (Docker's own `containerd.io` for Debian's `containerd`, say).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lists=(tools/packages.txt)
only_missing=no
for option in "$@"; do
  case "$option" in
    --tests) lists+=(tools/test-packages.txt) ;;
    --missing) only_missing=yes ;;
    *) printf 'setup: unknown option %s; there are --tests and --missing\n' "$option" >&2; exit 2 ;;
  esac
done

say() { printf 'setup: %s\n' "$*" >&2; }

missing_packages() {
  local command package
  cat "${lists[@]}" | grep -v '^#' | while read -r command package; do
    [ -n "$command" ] || continue
    PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null 2>&1 || echo "$package"
  done | sort -u
}

# Packaged services stay stopped: Tidegate starts its own copies. An existing policy is kept; one that a killed set-up left is not.
policy=/usr/sbin/policy-rc.d
mark='# made by the set-up of Tidegate, for as long as it runs'
remove_policy() {
  if grep -qsF "$mark" "$policy"; then rm -f "$policy"; fi
}
without_services() {
  local status=0
  trap remove_policy EXIT
  trap 'exit 130' INT TERM HUP
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
  fi
  "$@" || status=$?
  remove_policy
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
  DEBIAN_FRONTEND=noninteractive without_services apt-get install -y -qq --no-install-recommends --no-remove "${packages[@]}" >/dev/null || {
    say "apt-get could not install ${packages[*]} beside what this machine has (see above); nothing was removed."
    return 1
  }
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

# The clients that tests drive, where the machine has none: in a folder of the checkout's own.
install_clients() {
  if command -v aws >/dev/null && python3 -c 'import boto3' 2>/dev/null; then return 0; fi
  if [ -x .cache/clients/bin/aws ]; then return 0; fi
  say "installing the aws CLI and boto3 (PyPI) into .cache/clients"
  if ! python3 -m venv .cache/clients; then
    say "python3 has no venv: apt-get install python3-venv, or install the aws CLI and boto3"
    return 1
  fi
  .cache/clients/bin/pip install --quiet --disable-pip-version-check awscli==1.45.11 boto3==1.43.11
}

if [ "$only_missing" = yes ]; then
  missing_packages
  exit 0
fi
if [ "$(id -u)" = 0 ]; then remove_policy; fi
install_packages
install_modules
if [[ " $* " == *" --tests "* ]]; then install_clients; fi
