#!/usr/bin/env bash
# Whether this node's API server is well: keepalived asks, and gives the shared
# address to a node where it is.
set -euo pipefail
exec curl --silent --insecure --fail --max-time "${1:?usage: api_check.sh SECONDS}" --output /dev/null https://127.0.0.1:6443/livez
