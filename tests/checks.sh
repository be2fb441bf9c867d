# Sourced by the tests that are shell scripts: counts checks, and shows what a failed one printed.
# shellcheck shell=bash

good=0
bad=0
work=$(mktemp -d "${TMPDIR:-/tmp}/apertis-test.XXXXXX")
trap 'stop_gateway; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# check WHAT COMMAND...: it has to succeed.
check() {
    local what=$1
    shift
    if "$@" >"$work/check" 2>&1; then
        good=$((good + 1))
        echo "  ok $what"
    else
        bad=$((bad + 1))
        echo "FAIL $what: $*"
        sed 's/^/       /' "$work/check"
    fi
}

# It fails, and not because there is no such program.
fails() {
    "$@"
    local status=$?
    [ "$status" != 0 ] && [ "$status" -lt 126 ]
}

same() {
    [ "$1" = "$2" ] || { printf 'expected: %s\n     got: %s\n' "$2" "$1"; return 1; }
}

no_proxies() {
    unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
}

summary() {
    echo "$good passed, $bad failed"
    [ "$bad" = 0 ]
}
