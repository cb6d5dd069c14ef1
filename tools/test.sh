#!/usr/bin/env bash
# Everything: set-up, static checks, all tests. With arguments: only the test files whose paths contain one of them.
# Ends with the line `N passed, N failed`, in which each static check counts as a test.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --tests || exit 1
export PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin"
if [ -x .cache/clients/bin/aws ]; then PATH="$PWD/.cache/clients/bin:$PATH"; fi
mkdir -p .cache
# Each test file is a process, and starts others: what one of them compiled is there for the next.
export NODE_COMPILE_CACHE="$PWD/.cache/compile-tests"
# Upstream's releases lack metrics-server, which the tests need from the first cluster on.
export TIDEGATE_KUBERNETES_MIRROR=off
if [ $# -gt 0 ]; then exec vitest run "$@"; fi
tools/check.sh | tee .cache/check.txt
rm -f .cache/tests.json
# Of 2,000 tests against real daemons and clocks on a busy machine one may lose a race of its own. It gets a second try, and is told by name: it is to be mended.
vitest run --retry=1 --reporter=default --reporter=json --outputFile.json=.cache/tests.json
exec node tools/summarize-tests.ts .cache/check.txt .cache/tests.json
