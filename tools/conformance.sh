#!/usr/bin/env bash
# Upstream Kubernetes' own conformance tests against a cluster of this Tidegate; builds them first, for minutes, with Go. Arguments: test/conformance/run.ts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --tests
export PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin"
exec node --disable-warning=ExperimentalWarning test/conformance/run.ts "$@"
