#!/usr/bin/env bash
# CopilotKit aimock, a mock of the providers: its answers are in fixtures.json, chosen by the user message.
#   aimock.sh install        into $APERTIS_CACHE; says in one line why it cannot
#   aimock.sh run PORT       on loopback, until it is killed; takes the keys sk-aimock and sk-fake
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
version=1.43.0
home=${APERTIS_CACHE:?}/servers/aimock-$version

case ${1:-} in
install)
    for tool in node npm; do
        command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 1; }
    done
    node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || { echo "Node is older than 20"; exit 1; }
    [ -e "$home/complete" ] && exit 0
    rm -rf "$home"
    mkdir -p "$home"
    echo '{ "private": true }' >"$home/package.json"
    if ! npm install --prefix "$home" --no-audit --no-fund --save-exact "@copilotkit/aimock@$version" >"$home/install.log" 2>&1; then
        echo "npm cannot install aimock: $(grep -m 1 -i 'error' "$home/install.log" || tail -n 1 "$home/install.log")"
        exit 1
    fi
    touch "$home/complete"
    ;;
run)
    export AIMOCK_API_KEYS=sk-aimock,sk-fake
    exec node "$home/node_modules/.bin/llmock" -h 127.0.0.1 -p "${2:?}" -f "$here/fixtures.json" --log-level warn
    ;;
*)
    echo "usage: aimock.sh install | run PORT" >&2
    exit 2
    ;;
esac
