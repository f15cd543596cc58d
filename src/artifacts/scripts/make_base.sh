#!/usr/bin/env bash
# make_base.sh TAR root|unshare MMDEBSTRAP-OPTION...: makes a root tree as a tar
# archive that holds nothing of the time and machine of its making.
set -euo pipefail

tar=${1:?} mode=${2:?}
shift 2
export PATH="$PATH:/usr/sbin:/sbin"
# No file is newer than this: 2025-08-09, the release of Debian 13.
export SOURCE_DATE_EPOCH=1754697600

# shellcheck disable=SC2016 # mmdebstrap hands the tree to its hook as $1
mmdebstrap --mode="$mode" \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' "$@" >"$tar"
