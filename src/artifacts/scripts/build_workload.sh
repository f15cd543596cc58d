#!/usr/bin/env bash
# build_workload.sh TRIPLE: run in the builder root, in a folder with the
# crate `workload`; leaves four builds of the same source in `made`.
set -euo pipefail

triple=${1:?}
export CARGO_HOME=/mnt/cargo-home CARGO_TARGET_DIR=/mnt/target
mkdir -p made
cd workload
RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --bins --target "$triple"
# As a distribution links it: against the C library of the image's base.
cargo build --release --locked --bins --target "$triple" --target-dir /mnt/dynamic
CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld cargo build --release --locked --bins --target wasm32-wasip1
cd ..
cp "target/$triple/release/workload" made/workload
cp "dynamic/$triple/release/workload" made/workload-dynamic
cp target/wasm32-wasip1/release/workload.wasm made/workload.wasm
# Generic: the machine that runs it may lack this one's CPU features.
wasmedge compile --generic-binary made/workload.wasm made/workload-aot.wasm
