#!/usr/bin/env bash
# Builds examples/streaming.c against the library (development profile) and streams an answer to $PROMPT.
# With APERTIS_API_KEY it asks the gateway of APERTIS_API_BASE (unset: Apertis), without either the loopback gateway.
set -euo pipefail
source "$(dirname "$0")/common.sh"

scripts/setup.sh demo
target=$(target_directory)
loopback=
[ -n "${APERTIS_API_KEY:-}${APERTIS_API_BASE:-}" ] || loopback=1

library=$target/debug/libapertis.so
[ "$(uname -s)" = Darwin ] && library=$target/debug/libapertis.dylib
[ -e "$library" ] || echo "Building the library in the development profile; the first time takes a minute or two." >&2
if [ -n "$loopback" ]; then build_development --bins; else build_development; fi

program=$target/demo/streaming
mkdir -p "$target/demo"
"${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude examples/streaming.c -o "$program" \
    -L"$target/debug" -lapertis -Wl,-rpath,"$target/debug"

if [ -n "$loopback" ]; then
    trap stop_gateway EXIT
    trap 'exit 130' INT TERM
    start_gateway "$target/debug/apertis-gateway" || die "The loopback gateway did not start."
    export APERTIS_API_KEY=sk-demo APERTIS_API_BASE="http://127.0.0.1:$gateway_port/v1"
    # No proxy between us and ourselves.
    export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
    echo 'No APERTIS_API_KEY: the loopback gateway answers. For a model: APERTIS_API_KEY=sk-... make demo PROMPT="..."' >&2
fi
if [ -n "${PROMPT:-}" ]; then "$program" "$PROMPT"; else "$program"; fi
