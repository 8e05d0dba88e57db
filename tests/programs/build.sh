#!/usr/bin/env bash
# Builds programs that nobody here wrote, unchanged, for WASI preview 1:
# SQLite's shell, Lua and zstd, with Debian's clang and wasi-libc.
#
#   build.sh OUTDIR [PROGRAM…]      PROGRAM: sqlite3, lua, zstd (all by default)
#
# Writes OUTDIR/PROGRAM.wasm. Sources come from Debian's source archives, over
# the mirrors that apt on this machine is configured for, and are kept in
# OUTDIR/sources; IDLEWILD_SOURCES=DIR names a folder that has them already.
# Exit code 77: something has to be installed first; one line on stderr says
# what. Any other failure is 1.
set -euo pipefail

readonly HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly SHIM="$HERE/wasi"
readonly PACKAGES="clang lld wasi-libc libclang-rt-dev-wasm32"

# Fossil's sources carry SQLite's amalgamation and shell as released (3.41.0),
# which spares the code generators that Debian's own SQLite sources need.
declare -rA ARCHIVE=(
    [sqlite3]=pool/main/f/fossil/fossil_2.21.orig.tar.xz
    [lua]=pool/main/l/lua5.4/lua5.4_5.4.4.orig.tar.gz
    [zstd]=pool/main/libz/libzstd/libzstd_1.5.4+dfsg2.orig.tar.xz
)
declare -rA SHA256=(
    [sqlite3]=be63439cc08bec72aeb8ed8c240ef9b3e7ce7916e786ef6c55491d86daf02c5b
    [lua]=164c7849653b80ae67bec4b7473b884bf5cc8d2dca05653475ec2ed27b9ebf61
    [zstd]=8cf4bbb65e77ec348d052c8d6230eba66d435bddf64c8b5be2fcb16880c19953
)

readonly COMPILE=(
    clang --target=wasm32-wasi --sysroot=/usr -O2 -w
    -I"$SHIM" -include "$SHIM/absent.h"
    -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_MMAN
    -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS
)
readonly LINK=(
    -lwasi-emulated-signal -lwasi-emulated-mman
    -lwasi-emulated-getpid -lwasi-emulated-process-clocks
    -Wl,-z,stack-size=1048576 -Wl,--stack-first -Wl,--strip-all
)

missing() {
    echo "tests/programs: $1" >&2
    exit 77
}

fail() {
    echo "tests/programs: $1" >&2
    exit 1
}

# Compiling and linking a small program is the one check that covers the
# compiler, the linker, the C library and the compiler's runtime.
check_tools() {
    local probe="$1/probe"
    echo 'int main(void) { return 0; }' >"$probe.c"
    "${COMPILE[@]}" "$probe.c" "${LINK[@]}" -o "$probe.wasm" 2>"$probe.log" ||
        missing "no C compiler for WASI; install: apt-get install $PACKAGES"
    command -v xz >/dev/null || missing "no xz; install: apt-get install xz-utils"
}

mirrors() {
    command -v apt-get >/dev/null || return 0
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sort -u
}

# Asks apt's own downloader, so that its proxies and certificates apply.
download() {
    local path="$1" target="$2" mirror
    [[ -x /usr/lib/apt/apt-helper ]] || return 1
    while read -r mirror; do
        /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root -o Acquire::Retries=2 \
            -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
            download-file "${mirror%/}/$path" "$target" >/dev/null 2>&1 && return 0
        rm -f "$target"
    done < <(mirrors)
    return 1
}

# Puts the program's archive into the folder of sources and prints its path.
fetch() {
    local program="$1" sources="$2"
    local name="${ARCHIVE[$program]##*/}"
    local kept="$sources/$name"
    if [[ ! -f "$kept" && -n "${IDLEWILD_SOURCES:-}" && -f "$IDLEWILD_SOURCES/$name" ]]; then
        cp "$IDLEWILD_SOURCES/$name" "$kept"
    fi
    if [[ ! -f "$kept" ]]; then
        download "${ARCHIVE[$program]}" "$kept.part" ||
            missing "no $name; put it into a folder and set IDLEWILD_SOURCES to that folder"
        mv "$kept.part" "$kept"
    fi
    echo "${SHA256[$program]}  $kept" | sha256sum --check --status ||
        fail "$kept is not the pinned archive (SHA-256 ${SHA256[$program]})"
    echo "$kept"
}

compile_sqlite3() {
    cd "$1/extsrc"
    "${COMPILE[@]}" -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION \
        -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_MATH_FUNCTIONS \
        sqlite3.c shell.c "$SHIM/absent.c" "${LINK[@]}" -o "$2"
}

compile_lua() {
    cd "$1/src"
    local sources=()
    local source
    for source in l*.c; do
        [[ "$source" == luac.c ]] || sources+=("$source")
    done
    "${COMPILE[@]}" -include "$SHIM/lua_throw.h" -I. "${sources[@]}" \
        "$SHIM/absent.c" "$SHIM/lua_throw.c" "${LINK[@]}" -o "$2"
}

compile_zstd() {
    cd "$1"
    "${COMPILE[@]}" -DXXH_NAMESPACE=ZSTD_ -DZSTD_LEGACY_SUPPORT=0 -DBACKTRACE_ENABLE=0 \
        -DZSTD_NOBENCH -DZSTD_NODICT -DZSTD_NOTRACE -Ilib -Ilib/common \
        programs/{zstdcli,util,timefn,fileio,fileio_asyncio}.c \
        lib/common/*.c lib/compress/*.c lib/decompress/*.c \
        "$SHIM/absent.c" "${LINK[@]}" -o "$2"
}

# Names everything that a built program depends on, so that it is built again
# exactly when one of them changes.
recipe() {
    {
        cat "$HERE/build.sh" "$SHIM"/*
        clang --version
        echo "${SHA256[$1]}"
    } | sha256sum
}

build() {
    local program="$1" out="$2" work="$3"
    local wanted archive
    wanted="$(recipe "$program")"
    if [[ -f "$out/$program.wasm" && -f "$out/$program.recipe" &&
        "$(<"$out/$program.recipe")" == "$wanted" ]]; then
        return
    fi
    archive="$(fetch "$program" "$out/sources")"
    mkdir "$work/$program"
    tar -xf "$archive" -C "$work/$program" --strip-components=1
    "compile_$program" "$work/$program" "$work/$program.wasm" ||
        fail "$program does not compile"
    mv "$work/$program.wasm" "$out/$program.wasm"
    echo "$wanted" >"$out/$program.recipe"
}

main() {
    [[ $# -ge 1 ]] || fail "usage: build.sh OUTDIR [PROGRAM…]"
    mkdir -p "$1/sources"
    local out work program status=0
    out="$(cd "$1" && pwd)"
    shift
    [[ $# -gt 0 ]] || set -- sqlite3 lua zstd
    for program in "$@"; do
        [[ -n "${ARCHIVE[$program]:-}" ]] || fail "no program named $program"
    done
    work="$(mktemp -d "$out/work.XXXXXX")"
    # shellcheck disable=SC2064  # the folder's name is known now
    trap "rm -rf '$work'" EXIT
    check_tools "$work"
    local builds=()
    for program in "$@"; do
        build "$program" "$out" "$work" &
        builds+=($!)
    done
    local pid code
    for pid in "${builds[@]}"; do
        code=0
        wait "$pid" || code=$?
        [[ $code -le $status ]] || status=$code
    done
    exit "$status"
}

main "$@"
