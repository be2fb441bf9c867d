#!/usr/bin/env bash
# The library against two servers that are not ours, aimock and LiteLLM: installs them, starts them on loopback, builds
# client.c, runs it against both. The last line is "N passed, N failed".
#   tests/servers/run.sh [aimock] [litellm]     both, unless named
# APERTIS_CASE: only checks whose name contains this. APERTIS_LIB_DIR: where the library is (default: cargo's).
# What cannot be installed is skipped ("SKIP server: why"), or has failed where APERTIS_REQUIRE_ALL=1.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"
here=$root/tests/servers
work=$(mktemp -d "${TMPDIR:-/tmp}/apertis-servers.XXXXXX") || exit 1
processes=()
passed=0
failed=0

leave() {
    local process
    for process in ${processes[@]+"${processes[@]}"}; do
        kill "$process" 2>/dev/null
        wait "$process" 2>/dev/null
    done
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM

wanted() {
    [ "${#servers[@]}" = 0 ] || [[ " ${servers[*]} " == *" $1 "* ]]
}

# install SERVER: fails where it cannot be, and says so.
install() {
    local why
    why=$("$here/$1/$1.sh" install) && return
    if [ "${APERTIS_REQUIRE_ALL:-}" = 1 ]; then
        echo "FAIL $1: ${why:-the installation failed}"
        failed=$((failed + 1))
    else
        echo "SKIP $1: ${why:-the installation failed}"
    fi
    return 1
}

free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); });'
}

answers() {
    node -e 'fetch(process.argv[1]).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "$1"
}

# start SERVER HEALTH ARGUMENTS...: on a free port, which `port` is set to; returns when HEALTH answers.
start() {
    local server=$1 health=$2 attempt process waited log
    shift 2
    log=$work/$server.log
    for attempt in 1 2 3; do
        port=$(free_port) || return 1
        env -u http_proxy -u https_proxy -u all_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY TMPDIR="$work" \
            "$here/$server/$server.sh" run "$port" "$@" >"$log" 2>&1 &
        process=$!
        processes+=("$process")
        for ((waited = 0; waited < 240; waited++)); do
            # Somebody may have been quicker to take the port: then it ends, and another one is tried.
            kill -0 "$process" 2>/dev/null || break
            if answers "http://127.0.0.1:$port$health"; then return; fi
            sleep 0.5
        done
    done
    echo "FAIL $server does not start:"
    tail -n 20 "$log" | sed 's/^/       /'
    failed=$((failed + 1))
    return 1
}

# check SERVER KEY: runs the client against the server on `port`, and counts.
check() {
    local counts status
    echo
    "$work/client" "$1" "http://127.0.0.1:$port/v1" "$2" >"$work/$1.out" 2>&1
    status=$?
    cat "$work/$1.out"
    counts=$(sed -n "s/^$1: \([0-9]*\) passed, \([0-9]*\) failed\$/\1 \2/p" "$work/$1.out")
    # A client that crashed has no last line.
    if [ -z "$counts" ]; then
        echo "FAIL $1: the client ended with $status"
        counts="0 1"
    fi
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
}

servers=("$@")
for server in ${servers[@]+"${servers[@]}"}; do
    case $server in aimock | litellm) ;; *) die "usage: tests/servers/run.sh [aimock] [litellm]" ;; esac
done

if [ -n "${APERTIS_LIB_DIR:-}" ]; then
    library=$(cd "$APERTIS_LIB_DIR" && pwd -P) || exit 1
else
    build_development || exit 1
    library=$(target_directory)/debug || exit 1
fi
"${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror -g -I include "$here/client.c" -o "$work/client" \
    "-L$library" -lapertis "-Wl,-rpath,$library" || die "client.c does not build"

# LiteLLM's upstream is aimock.
if install aimock && start aimock /health; then
    aimock_port=$port
    if wanted aimock; then check aimock sk-aimock; fi
    if wanted litellm && install litellm && dead_port=$(free_port) &&
        start litellm /health/liveliness "$aimock_port" "$dead_port"; then
        check litellm sk-master-1234
    fi
elif wanted litellm; then
    [ "$failed" != 0 ] || echo "SKIP litellm: it needs aimock as its upstream"
fi

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
