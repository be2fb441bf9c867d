#!/usr/bin/env bash
# Builds what is installed: the shared and the static library, and the list of what the static one is linked with.
# Into a folder of its own: with an rlib beside them, as in other builds, link-time optimisation leaves more in them.
set -euo pipefail
source "$(dirname "$0")/common.sh"

scripts/setup.sh install
folder=$(target_directory)/dist
mkdir -p "$folder"
[ -e "$folder/release/libapertis.a" ] || echo "Building the release with link-time optimisation; the first time takes a few minutes." >&2
# File names in panic messages: without this machine's folders.
home=${CARGO_HOME:-$HOME/.cargo}
remap="build.rustflags=['--remap-path-prefix=$home=cargo', '--remap-path-prefix=$root=apertis']"
read -r _ APERTIS_SONAME _ <<<"$(library_names "$(version)")"
export APERTIS_SONAME
build rustc --release --lib --crate-type cdylib,staticlib --target-dir "$folder" --config "$remap" -- \
    --print "native-static-libs=$folder/native-static-libs"
