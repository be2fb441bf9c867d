#!/usr/bin/env bash
# `make demo` with the loopback gateway, with a key, with a wrong one, with none, and with a host that is not there.
set -uo pipefail
source "$(dirname "$0")/../scripts/common.sh"
source tests/checks.sh
unset APERTIS_API_KEY APERTIS_API_BASE PROMPT
no_proxies

# In a process group of its own, whose number is then `group`.
make_demo() {
    set -m
    make --no-print-directory demo "$@" >"$work/out" 2>"$work/err" </dev/null &
    group=$!
    set +m
    wait "$group"
}

# The demo has failed in one line that says `what`; the other lines are make's.
failed_in_one_line() {
    local what=$1
    [ ! -s "$work/out" ] && [ "$(grep -cv '^make' "$work/err")" = 1 ] && grep -q "^apertis: $what: ." "$work/err" ||
        fails cat "$work/out" "$work/err"
}

asked_by_demo() {
    curl -sf --noproxy '*' "http://127.0.0.1:$gateway_port/_log" | grep -qF "$1"
}

exit_status_of_the_script_is() {
    scripts/demo.sh
    same $? "$1"
}

build_development --bins
start_gateway "$(target_directory)/debug/apertis-gateway" || die "The loopback gateway did not start."
# What is built once is not spoken of again.
scripts/demo.sh >/dev/null 2>&1

check "without a key the loopback gateway answers" make_demo
check "in more than a few words" test "$(wc -w <"$work/out")" -gt 10
check "with a summary" grep -q 'tokens in.*first token after' "$work/err"
check "its gateway has ended" fails kill -0 -- "-$group"
check "nothing else is said but where the answer comes from" same "$(grep -c . "$work/err")" 2

export APERTIS_API_KEY=sk-demo APERTIS_API_BASE=http://127.0.0.1:$gateway_port/v1
question='It costs $5, he said; is $(that) `much`?'
check "with a key the base is asked" make_demo PROMPT="$question"
check "what was asked, dollar signs included" asked_by_demo "$question"

export APERTIS_API_KEY=sk-wrong
check "a wrong key fails" fails make_demo
check "a wrong key is one line" failed_in_one_line APERTIS_ERROR_AUTHENTICATION
check "a wrong key is exit status 1" exit_status_of_the_script_is 1

unset APERTIS_API_KEY
check "a base without a key fails" fails make_demo
check "a missing key is one line" failed_in_one_line APERTIS_ERROR_MISSING_API_KEY
check "a missing key is exit status 1" exit_status_of_the_script_is 1

# Port 9 is "discard", which nobody serves any more.
export APERTIS_API_KEY=sk-demo APERTIS_API_BASE=http://127.0.0.1:9/v1
check "a dead host fails" fails make_demo
check "a dead host is one line" failed_in_one_line APERTIS_ERROR_CONNECT

summary
