# Sourced by the other scripts: where things are, and how to build them without noise.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root" || exit 1
export APERTIS_CACHE="${APERTIS_CACHE:-$root/.cache}"
case $APERTIS_CACHE in /*) ;; *) APERTIS_CACHE=$root/$APERTIS_CACHE ;; esac
# What scripts/setup.sh has put there.
if [ -d "$APERTIS_CACHE/node/bin" ]; then PATH=$APERTIS_CACHE/node/bin:$PATH; fi

die() {
    echo "$*" >&2
    exit 1
}

# Where cargo builds: target/ unless CARGO_TARGET_DIR or a configuration says otherwise.
target_directory() {
    cargo metadata --no-deps --format-version 1 --color never | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# cargo, silent where nothing has to be built.
build() {
    cargo "$@" 2>&1 | { grep --line-buffered -v -e '^ *Finished ' -e '^note: native artifacts' -e '^$' >&2 || true; }
    return "${PIPESTATUS[0]}"
}

# Library, gateway and tests share one build as long as all of them ask for the whole workspace: cargo compiles a
# dependency once for each set of features, and the set is that of everything it is asked for.
build_development() {
    build build --workspace --lib "$@"
}

# The version in Cargo.toml.
version() {
    sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1
}

# The names of the shared library: the file, the one programs are linked to, the one the linker looks for.
library_names() {
    local version=$1 major=${1%%.*}
    case $(uname -s) in
    Darwin) echo "libapertis.$version.dylib libapertis.$major.dylib libapertis.dylib" ;;
    *) echo "libapertis.so.$version libapertis.so.$major libapertis.so" ;;
    esac
}

# Starts the loopback gateway and sets `gateway_port`. Call stop_gateway before you leave.
gateway_process=
start_gateway() {
    local program=$1 pipe
    pipe=$(mktemp -u "${TMPDIR:-/tmp}/apertis-gateway.XXXXXX")
    mkfifo -m 600 "$pipe" || return 1
    "$program" --print-port >"$pipe" &
    gateway_process=$!
    # Where the gateway does not start, the pipe ends without a line.
    read -r gateway_port <"$pipe" || gateway_port=
    rm -f "$pipe"
    [ -n "$gateway_port" ]
}

stop_gateway() {
    [ -n "$gateway_process" ] || return 0
    kill "$gateway_process" 2>/dev/null || true
    wait "$gateway_process" 2>/dev/null || true
    gateway_process=
}
