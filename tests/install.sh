#!/usr/bin/env bash
# What `make install` installs: names, links, exports, and that programs build and run with it through pkg-config and
# CMake, with the shared and the static library, also from DESTDIR and after the tree has been moved.
set -uo pipefail
source "$(dirname "$0")/../scripts/common.sh"
source tests/checks.sh
unset LIBDIR PREFIX DESTDIR
no_proxies
[ "$(uname -s)" = Linux ] || die "tests/install.sh knows the names and tools of Linux."

version=$(version)
program=$root/examples/one_shot.c
strict=(-std=c99 -pedantic -Wall -Wextra -Werror)

install_to() {
    make --no-print-directory install "$@"
}

links_are_right() {
    local libdir=$1
    same "$(readlink "$libdir/libapertis.so")" libapertis.so.0 &&
        same "$(readlink "$libdir/libapertis.so.0")" "libapertis.so.$version" &&
        [ -f "$libdir/libapertis.so.$version" ] && [ ! -L "$libdir/libapertis.so.$version" ]
}

# A field of the library's dynamic section.
dynamic() {
    readelf -dW "$prefix/lib/libapertis.so.$version" | sed -n "s/.*($1).*\[\(.*\)\]/\1/p"
}

exports_the_list() {
    diff <(sed -n 's/^\(apertis_[a-z0-9_]*\) .*/\1/p' tests/abi/symbols.txt | sort) \
        <(nm -D --defined-only "$prefix/lib/libapertis.so.$version" | awk '{ print $NF }' | sort)
}

# Nothing of the build machine, in whatever file.
names_no_folder() {
    fails grep -rlF -e "$root/src" -e "${CARGO_HOME:-$HOME/.cargo}/registry" -e "$work/" "$1"
}

pkg() {
    PKG_CONFIG_PATH=$pkgconfig pkg-config "$@"
}

answers() {
    local answer
    answer=$("$@") || return 1
    [ "$(wc -w <<<"$answer")" -gt 10 ] || { echo "no answer: $answer"; return 1; }
}

uses_the_shared_library_of() {
    ldd "$2" | grep -F "libapertis.so.0 => $1/"
}

uses_no_shared_library() {
    fails grep -q libapertis <(readelf -d "$1")
}

# shellcheck disable=SC2046 # pkg-config gives words
with_pkg_config() {
    local where=$1 libdir=$2
    pkgconfig=$libdir/pkgconfig
    check "$where: pkg-config knows the version" same "$(pkg --modversion apertis)" "$version"
    check "$where: pkg-config, shared" cc "${strict[@]}" "$program" -o "$work/shared" $(pkg --cflags --libs apertis)
    check "$where: it runs" answers env LD_LIBRARY_PATH="$libdir" "$work/shared"
    check "$where: with this library" env LD_LIBRARY_PATH="$libdir" bash -c "$(declare -f uses_the_shared_library_of); uses_the_shared_library_of '$libdir' '$work/shared'"
    check "$where: pkg-config, the static library" cc "${strict[@]}" "$program" -o "$work/static" \
        $(pkg --cflags apertis) $(pkg --variable=static_libs apertis)
    check "$where: it runs" answers "$work/static"
    check "$where: without a shared library" uses_no_shared_library "$work/static"
    check "$where: pkg-config --static, all of it static" cc "${strict[@]}" -static "$program" -o "$work/all-static" \
        $(pkg --static --cflags --libs apertis)
    check "$where: it runs" answers "$work/all-static"
}

with_cmake() {
    local where=$1 libdir=$2 hint=$3
    rm -rf "$work/cmake"
    check "$where: find_package" cmake -S tests/install -B "$work/cmake" -D"$hint" -DPROGRAM="$program"
    check "$where: CMake found it here" grep -x "apertis_DIR:[A-Z]*=$libdir/cmake/apertis" "$work/cmake/CMakeCache.txt"
    check "$where: CMake builds" cmake --build "$work/cmake"
    check "$where: apertis::apertis runs" answers "$work/cmake/shared"
    check "$where: with this library" uses_the_shared_library_of "$libdir" "$work/cmake/shared"
    check "$where: apertis::static runs" answers "$work/cmake/static"
    check "$where: without a shared library" uses_no_shared_library "$work/cmake/static"
}

find_package_refuses() {
    rm -rf "$work/refused"
    fails cmake -S tests/install -B "$work/refused" -DCMAKE_PREFIX_PATH="$prefix" -DPROGRAM="$program" "$@"
}

build_development --bins
start_gateway "$(target_directory)/debug/apertis-gateway" || die "The loopback gateway did not start."
export APERTIS_API_KEY=sk-install APERTIS_API_BASE=http://127.0.0.1:$gateway_port/v1
# The release is built here, where its output can be seen.
scripts/release.sh || die "The release does not build."

prefix=$work/prefix
check "make install PREFIX=..." install_to PREFIX="$prefix"
check "links" links_are_right "$prefix/lib"
check "soname" same "$(dynamic SONAME)" libapertis.so.0
check "stays mapped after dlclose" grep -q NODELETE <(readelf -dW "$prefix/lib/libapertis.so.$version")
check "needs nothing but the C library and the unwinder" same \
    "$(dynamic NEEDED | grep -vE '^(libc|libm|libdl|libpthread|libgcc_s|ld-linux[-a-z0-9_]*)\.so' | tr '\n' ' ')" ""
check "is stripped" fails grep -q '\.symtab' <(readelf -SW "$prefix/lib/libapertis.so.$version")
check "exports the functions of the header and nothing else" exports_the_list
check "the header is the header" cmp include/apertis.h "$prefix/include/apertis.h"
check "the schema of responses is beside it" cmp include/apertis-response.schema.json "$prefix/include/apertis-response.schema.json"
check "names no folder of this machine" names_no_folder "$prefix"
check "find_package refuses a newer version" find_package_refuses -DWANTED=0.2
check "find_package refuses another major version" find_package_refuses -DWANTED=1.0
with_pkg_config "installed" "$prefix/lib"
# The program of the README, built as the README says.
sed -n '/^```c$/,/^```$/p' README.md | sed -n '2,/^```$/p' | sed '/^```$/d' >"$work/hello.c"
check "README: the program, with cc alone" cc "${strict[@]}" "$work/hello.c" -o "$work/hello" \
    -I"$prefix/include" -L"$prefix/lib" -lapertis -Wl,-rpath,"$prefix/lib"
check "README: it says hello" answers "$work/hello"
with_cmake "installed" "$prefix/lib" CMAKE_PREFIX_PATH="$prefix"

check "moved" mv "$prefix" "$work/elsewhere"
prefix=$work/elsewhere
with_pkg_config "moved" "$prefix/lib"
with_cmake "moved" "$prefix/lib" CMAKE_PREFIX_PATH="$prefix"

stage=$work/stage
multi=/opt/apertis/lib/multi-arch
check "make install DESTDIR=... LIBDIR=..." install_to DESTDIR="$stage" PREFIX=/opt/apertis LIBDIR="$multi"
check "nothing is outside of the prefix" same "$(cd "$stage" && find . -type f | grep -v '^./opt/apertis/')" ""
check "links in LIBDIR" links_are_right "$stage$multi"
with_pkg_config "DESTDIR" "$stage$multi"
with_cmake "DESTDIR" "$stage$multi" apertis_DIR="$stage$multi/cmake/apertis"
check "make uninstall" make --no-print-directory uninstall DESTDIR="$stage" PREFIX=/opt/apertis LIBDIR="$multi"
check "leaves nothing" same "$(find "$stage" -not -type d)" ""
check "a relative PREFIX is refused" fails make --no-print-directory install PREFIX=here

summary
