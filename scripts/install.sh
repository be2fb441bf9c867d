#!/usr/bin/env bash
# Installs the release build, or takes it away: scripts/install.sh install|uninstall
# PREFIX (/usr/local), LIBDIR (PREFIX/lib) and DESTDIR as everywhere. The tree may be moved afterwards as a whole.
set -euo pipefail
source "$(dirname "$0")/common.sh"

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
for folder in "$prefix" "$libdir"; do
    case $folder in /*) ;; *) die "PREFIX and LIBDIR are absolute paths: $folder is none." ;; esac
done
stage=${DESTDIR:-}
version=$(version)
read -r library soname link <<<"$(library_names "$version")"
files=(
    "$prefix/include/apertis.h" "$prefix/include/apertis-response.schema.json"
    "$libdir/$library" "$libdir/$soname" "$libdir/$link" "$libdir/libapertis.a"
    "$libdir/pkgconfig/apertis.pc"
    "$libdir/cmake/apertis/apertis-config.cmake" "$libdir/cmake/apertis/apertis-config-version.cmake"
)

if [ "${1:-}" = uninstall ]; then
    for file in "${files[@]}"; do rm -f "$stage$file"; done
    rmdir "$stage$libdir/cmake/apertis" 2>/dev/null || true
    exit 0
fi
[ "${1:-}" = install ] || die "usage: scripts/install.sh install|uninstall"

# The way from one absolute folder to another: relative "/usr/lib/cmake" "/usr" is "../..".
relative() {
    local from=${1%/} to=${2%/} up=
    while [ "$to" != "$from" ] && [ "${to#"$from"/}" = "$to" ]; do
        from=${from%/*}
        up=../$up
    done
    to=${to#"$from"}
    to=$up${to#/}
    echo "${to%/}"
}

# What the static library is linked with. The C compiler links libgcc and libc by itself, in the way that fits.
native_libraries() {
    tr -s ' ' '\n' <"$built/native-static-libs" | grep -vx -e -lgcc_s -e -lc -e '' | tr '\n' ' ' | sed 's/ $//'
}

fill() {
    mkdir -p "$(dirname "$stage$2")"
    sed -e "s|@VERSION@|$version|g" -e "s|@LIBRARY@|$library|g" -e "s|@SONAME@|$soname|g" \
        -e "s|@NATIVE@|$native|g" -e "s|@NATIVE_LIST@|$native_list|g" \
        -e "s|@PREFIX_FROM_PC@|$(relative "$libdir/pkgconfig" "$prefix")|g" \
        -e "s|@PREFIX_FROM_CMAKE@|$(relative "$libdir/cmake/apertis" "$prefix")|g" \
        "scripts/templates/$1" >"$stage$2"
    chmod 644 "$stage$2"
}

# Under sudo there may be no cargo: then what has been built before is installed.
if command -v cargo >/dev/null; then
    scripts/release.sh
    built=$(target_directory)/dist
else
    built=${CARGO_TARGET_DIR:-$root/target}/dist
    [ -f "$built/release/libapertis.a" ] || die "There is no cargo here and no release build yet: run \`make release\` first, as the user who has Rust."
fi
native=$(native_libraries)
native_list=$(echo "$native" | sed -e 's/-framework /-framework@/g' -e 's/ /;/g' -e 's/@/ /g')

shared=libapertis.so
[ "$(uname -s)" = Darwin ] && shared=libapertis.dylib
mkdir -p "$stage$prefix/include" "$stage$libdir"
install -m 644 include/apertis.h include/apertis-response.schema.json "$stage$prefix/include"
install -m 755 "$built/release/$shared" "$stage$libdir/$library"
install -m 644 "$built/release/libapertis.a" "$stage$libdir/libapertis.a"
if [ "$(uname -s)" = Darwin ]; then
    strip -x "$stage$libdir/$library"
    strip -S "$stage$libdir/libapertis.a"
else
    strip --strip-unneeded "$stage$libdir/$library"
    strip --strip-debug "$stage$libdir/libapertis.a"
fi
ln -sf "$library" "$stage$libdir/$soname"
ln -sf "$soname" "$stage$libdir/$link"
fill apertis.pc.in "$libdir/pkgconfig/apertis.pc"
fill apertis-config.cmake.in "$libdir/cmake/apertis/apertis-config.cmake"
fill apertis-config-version.cmake.in "$libdir/cmake/apertis/apertis-config-version.cmake"
echo "libapertis $version has been installed to $stage$prefix."
