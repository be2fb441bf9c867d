#!/usr/bin/env bash
# The LiteLLM proxy, a gateway of the same kind as Apertis: what it serves is in config.yaml.
#   litellm.sh install                        into $APERTIS_CACHE; says in one line why it cannot
#   litellm.sh run PORT AIMOCK_PORT DEAD_PORT on loopback, until it is killed; takes the key sk-master-1234
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
version=1.106.2
home=${APERTIS_CACHE:?}/servers/litellm-$version

case ${1:-} in
install)
    command -v python3 >/dev/null || { echo "python3 is missing"; exit 1; }
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python is older than 3.10"; exit 1; }
    python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing"; exit 1; }
    [ -e "$home/complete" ] && exit 0
    rm -rf "$home"
    mkdir -p "$home"
    # Without prisma a missing key is answered with 500 and plain text, not with 401.
    if ! { python3 -m venv "$home/venv" &&
        "$home/venv/bin/pip" install --disable-pip-version-check -q "litellm[proxy]==$version" prisma==0.15.0; } >"$home/install.log" 2>&1; then
        echo "pip cannot install LiteLLM: $(grep -m 1 'ERROR' "$home/install.log" || tail -n 1 "$home/install.log")"
        exit 1
    fi
    touch "$home/complete"
    ;;
run)
    port=${2:?} aimock=${3:?} dead=${4:?}
    config=$(mktemp -d "${TMPDIR:-/tmp}/apertis-litellm.XXXXXX")/config.yaml
    sed -e "s/@AIMOCK_PORT@/$aimock/g" -e "s/@DEAD_PORT@/$dead/g" "$here/config.yaml" >"$config"
    export LITELLM_MASTER_KEY=sk-master-1234
    # It asks nobody outside, and shows no pages.
    export LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS=True LITELLM_LOCAL_BLOG_POSTS=True
    export LITELLM_TELEMETRY=False DISABLE_ADMIN_UI=True NO_DOCS=True LITELLM_LOG=ERROR
    exec "$home/venv/bin/litellm" --config "$config" --host 127.0.0.1 --port "$port" --num_workers 1
    ;;
*)
    echo "usage: litellm.sh install | run PORT AIMOCK_PORT DEAD_PORT" >&2
    exit 2
    ;;
esac
