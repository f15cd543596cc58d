#!/usr/bin/env bash
# build_static.sh TRIPLE CRATE: run in the builder root, in a folder with the
# crate; leaves a program of the same name without shared libraries in `made`.
set -euo pipefail

triple=${1:?} crate=${2:?}
export CARGO_HOME=/mnt/cargo-home CARGO_TARGET_DIR=/mnt/target
mkdir -p made
cd "$crate"
RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --bins --target "$triple"
cp "../target/$triple/release/$crate" ../made/
