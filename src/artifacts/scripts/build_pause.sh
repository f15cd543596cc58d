#!/usr/bin/env bash
# build_pause.sh TRIPLE: run in the builder root, in a folder with the single
# file `pause/pause.rs`; leaves the program in `made`.
set -euo pipefail

triple=${1:?}
mkdir -p made
rustc --edition 2024 -C opt-level=s -C panic=abort -C lto=fat -C strip=symbols \
  -C target-feature=+crt-static --target "$triple" -o made/pause pause/pause.rs
