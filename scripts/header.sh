#!/usr/bin/env bash
# Writes include/apertis.h: what build.rs rendered from src/ffi. Nothing else writes that file.
set -euo pipefail
source "$(dirname "$0")/common.sh"

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
cargo build --workspace --lib --quiet --message-format=json-render-diagnostics >"$messages"
rendered=
while read -r folder; do
    if [ -f "$folder/apertis.h" ]; then rendered=$folder/apertis.h; fi
done < <(sed -n '/"reason":"build-script-executed"/s/.*"out_dir":"\([^"]*\)".*/\1/p' "$messages")
[ -n "$rendered" ] || die "cargo did not say where build.rs rendered the header."
if cmp -s "$rendered" include/apertis.h; then
    echo "include/apertis.h is up to date."
else
    cp "$rendered" include/apertis.h
    echo "include/apertis.h has been written."
fi
