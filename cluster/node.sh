#!/usr/bin/env bash
# Start Ray on this machine, as the head of a cluster or as one of its workers: see own_machines.md.
#
#     cluster/node.sh head [OPTIONS OF ray start]
#     cluster/node.sh worker HEAD [OPTIONS OF ray start]
#
# Every node asks for the token, and the ports that nodes use among themselves are fixed, for the firewall.
set -euo pipefail

PORT=6379
PORTS=(--node-manager-port 6380 --object-manager-port 6381 --min-worker-port 10100 --max-worker-port 10999)

fail() {
    echo "cluster/node.sh: $1" >&2
    exit 2
}

case "${1:-}" in
head)
    role=(--head --port "$PORT")
    shift
    ;;
worker)
    [ $# -ge 2 ] || fail "worker needs the address of the head: cluster/node.sh worker 10.0.0.1"
    head=$2:$PORT
    role=(--address "$head")
    shift 2
    ;;
*) fail "say head, or worker and the address of the head" ;;
esac
if (exec 3<>/dev/tcp/127.0.0.1/6380) 2>/dev/null; then
    fail "a Ray runs on this machine already; ray stop ends it"
fi
command -v ray >/dev/null || fail "there is no ray; activate the environment first: source .venv/bin/activate"

export RAY_AUTH_MODE=token
token=~/.ray/auth_token
if [ -z "${RAY_AUTH_TOKEN:-}${RAY_AUTH_TOKEN_PATH:-}" ]; then
    if [ ! -s "$token" ]; then
        [ "${role[0]}" = --head ] || fail "there is no token; copy $token of the head to the same place here"
        (umask 077 && ray get-auth-token --generate >/dev/null)
    fi
    chmod 600 "$token"  # Ray writes it readable by all
fi

if [ "${role[0]}" = --address ] && ! answer=$(timeout 30 ray health-check --address "$head" 2>&1); then
    case $answer in
    *InvalidAuthToken*) fail "the cluster at $head has another token; copy $token of the head to the same place here" ;;
    *) fail "no Ray answers at $head; is the head started, and does its firewall let this machine in?" ;;
    esac
fi
exec ray start "${role[@]}" "${PORTS[@]}" --disable-usage-stats "$@"
