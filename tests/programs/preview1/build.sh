#!/usr/bin/env bash
# Builds the guests of this folder for WASI preview 1 with Debian's clang and
# wasi-libc.
#
#   build.sh OUTDIR      writes OUTDIR/calls.wasm and OUTDIR/posix.wasm
#
# Exit code 77: something has to be installed first; one line on stderr says
# what. Any other failure is 1.
set -euo pipefail

readonly HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly PACKAGES="clang lld wasi-libc libclang-rt-dev-wasm32"
readonly COMPILE=(clang --target=wasm32-wasi --sysroot=/usr -O1 -std=gnu11 -Wall -Werror)

[[ $# -eq 1 ]] || { echo "usage: build.sh OUTDIR" >&2; exit 1; }
mkdir -p "$1"

echo 'int main(void) { return 0; }' >"$1/probe.c"
"${COMPILE[@]}" "$1/probe.c" -o "$1/probe.wasm" 2>"$1/probe.log" || {
    echo "no C compiler for WASI; install: apt-get install $PACKAGES" >&2
    exit 77
}
"${COMPILE[@]}" "$HERE"/{main,files,paths,process}.c -o "$1/calls.wasm"
"${COMPILE[@]}" "$HERE/posix.c" -o "$1/posix.wasm"
