#!/usr/bin/env bash
# Every figure, each beside a peer or the raw mechanism in the same run. With arguments: only the benches of those names.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --tests || exit 1
export PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin"
status=0
for name in "${@:-start run-task api registry alb}"; do
  for bench in $name; do
    echo "== $bench"
    node --disable-warning=ExperimentalWarning "test/bench/$bench.ts" || status=1
  done
done
exit "$status"
