#!/usr/bin/env bash
# payload.sh TREE ARCHIVE: packs the programs, what relocate.sh has put beside them,
# and containerd's store in TREE.
set -euo pipefail

tree=${1:?} archive=${2:?}

cd "$tree"
tar -c --numeric-owner --sparse --sort=name -f "$archive" usr/local/bin/* usr/local/lib/provision var/lib/containerd
