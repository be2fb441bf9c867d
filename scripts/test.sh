#!/usr/bin/env bash
# The whole suite, one step after the other; a step that fails does not stop those behind it.
# The last line is "N passed, N failed". APERTIS_REQUIRE_ALL=1: what would be skipped has failed.
# APERTIS_STEPS="format install" runs these steps alone.
#
# A step is a program that exits with 0 if all is well. It may count ("N passed, N failed", or cargo's "test result"
# lines), else it counts for one, and it may say "SKIP what: why" on a line of its own.
set -uo pipefail
source "$(dirname "$0")/common.sh"

[ -n "${CI:-}" ] && export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
scripts/setup.sh test || exit 1
target=$(target_directory) || exit 1
logs=$target/test-logs
mkdir -p "$logs"

passed=0
failed=0
table=()
skips=()

sum() {
    awk '{ total += $1 } END { print total + 0 }'
}

# step NAME MINUTES COMMAND...: how long it may take, so that a suite that hangs still ends with a report.
step() {
    local name=$1 minutes=$2 began log status good bad line limit=()
    shift 2
    if [ -n "${APERTIS_STEPS:-}" ] && [[ " $APERTIS_STEPS " != *" $name "* ]]; then return; fi
    if command -v timeout >/dev/null; then
        limit=(timeout --kill-after=10)
        # At a terminal, control-C has to reach the step.
        [ -t 1 ] && limit+=(--foreground)
        limit+=("${minutes}m")
    fi
    echo "==== $name"
    log=$logs/$name.log
    began=$SECONDS
    ${limit[@]+"${limit[@]}"} "$@" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}

    good=$(sed -n -e 's/^test result: .* \([0-9]*\) passed; [0-9]* failed.*/\1/p' -e 's/^\([0-9]*\) passed, [0-9]* failed$/\1/p' "$log" | sum)
    bad=$(sed -n -e 's/^test result: .* [0-9]* passed; \([0-9]*\) failed.*/\1/p' -e 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p' "$log" | sum)
    if [ "$status" = 0 ] && [ "$good" = 0 ] && [ "$bad" = 0 ]; then good=1; fi
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    while read -r line; do
        skips+=("$name: $line")
        if [ -n "${APERTIS_REQUIRE_ALL:-}" ]; then bad=$((bad + 1)); fi
    done < <(sed -n 's/^SKIP //p' "$log")

    line="$good passed, $bad failed"
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then line="$line (stopped after $minutes minutes)"; fi
    table+=("$(printf '%-14s %4d s   %s' "$name" "$((SECONDS - began))" "$line")")
    passed=$((passed + good))
    failed=$((failed + bad))
}

# All tests in Rust but the driver of the C programs, which has a step of its own.
rust_tests() {
    local file arguments=()
    for file in tests/*.rs tests/gateway/tests/*.rs; do
        file=$(basename "$file" .rs)
        [ "$file" = c_programs ] || arguments+=(--test "$file")
    done
    cargo test --workspace --no-fail-fast --lib --bins "${arguments[@]}"
}

export -f rust_tests

# In one piece, so that editing this file does not change a suite that is running.
main() {
    step format 5 cargo fmt --all --check
    step clippy 20 cargo clippy --workspace --all-targets --quiet -- -D warnings
    step rust 30 bash -c rust_tests
    step c-programs 30 cargo test --workspace --test c_programs -- --nocapture --test-threads=1
    # The same programs, which would say of a leak, a use after free or undefined behaviour where it happens.
    step sanitizers 30 env APERTIS_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all" \
        cargo test --workspace --test c_programs stories -- --nocapture --test-threads=1
    step demo 5 tests/demo.sh
    step install 20 tests/install.sh
    step servers 15 tests/servers/run.sh

    echo
    echo "==== summary"
    printf '%s\n' "${table[@]}"
    for skip in ${skips[@]+"${skips[@]}"}; do echo "skipped: $skip"; done
    if [ "$((passed + failed))" = 0 ]; then die "No step is called like \"${APERTIS_STEPS:-}\"."; fi
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

main; exit
