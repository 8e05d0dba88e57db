#!/usr/bin/env bash
# Builds the example guests to WebAssembly.
#
#   build.sh [OUTDIR]      writes OUTDIR/NAME.wasm; by default beside this script
#
# A build gives the same bytes in any folder and on any machine with the
# toolchain that rust-toolchain.toml names.
set -euo pipefail

readonly HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly GUESTS="hello pathtracer sha256"
readonly TARGET=wasm32-wasip1

mkdir -p "${1:-$HERE}"
OUT="$(cd "${1:-$HERE}" && pwd)"
BUILD="$(mktemp -d)"
trap 'rm -rf "$BUILD"' EXIT

# The caller's settings must not reach the compiler.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET
unset RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
unset "${!CARGO_PROFILE_@}" "${!CARGO_TARGET_@}"

cd "$HERE"
# Where the toolchain's own sources are installed, their place would show in
# the program; it is given the name that it has where they are not.
SOURCES="$(rustc --print sysroot)/lib/rustlib/src/rust"
COMMIT="$(rustc --version --verbose | sed -n 's/^commit-hash: //p')"
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$SOURCES=/rustc/$COMMIT"

for guest in $GUESTS; do
    cargo build --quiet --locked --release --target "$TARGET" \
        --manifest-path "$HERE/$guest/Cargo.toml" --target-dir "$BUILD"
    cp "$BUILD/$TARGET/release/$guest.wasm" "$OUT/$guest.wasm"
    chmod 644 "$OUT/$guest.wasm"
done
