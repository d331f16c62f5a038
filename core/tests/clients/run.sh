#!/bin/bash
# Takes real clients on a tour of a broker: topics, records, offsets, configs (docs/clients.md).
#
#   core/tests/clients/run.sh [CLIENT...]        kafka-python aiokafka franz-go kafka-go sarama kafkajs java; all by default
#
# Starts the broker that `cargo build` or CORELANE names, on a free port of the loopback; BOOTSTRAP=ip:port takes one that
# runs already. The clients come from their registries at the versions that are pinned here, into CLIENTS_DIR
# (default target/clients). Needs python3 with venv, go, node with npm, and for `java` a JVM and KAFKA_LIB
# (docs/measuring.md). A client whose tools are missing has failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=${CLIENTS_DIR:-${CARGO_TARGET_DIR:-$root/target}/clients}
limit_s=${TOUR_LIMIT_S:-900} # each; a few minutes are enough on an idle machine
clients=("$@")
[ $# -gt 0 ] || clients=(kafka-python aiokafka franz-go kafka-go sarama kafkajs java)
mkdir -p "$work"

broker=
stop() {
    [ -z "$broker" ] || { kill "$broker" && wait "$broker"; } 2> /dev/null
    rm -rf "$work/data"
}
trap stop EXIT

start() { # a broker on a free port
    local program=${CORELANE:-${CARGO_TARGET_DIR:-$root/target}/debug/corelane}
    [ -x "$program" ] || { echo "no $program: build it, or say CORELANE=/path" >&2; exit 2; }
    rm -rf "$work/data"
    local port=$((20000 + $$ % 9000))
    "$program" serve --listen "127.0.0.1:$port" --data-dir "$work/data" --default-partitions 4 > "$work/broker.log" 2>&1 &
    broker=$!
    BOOTSTRAP=127.0.0.1:$port
    for _ in $(seq 600); do
        (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && return
        kill -0 "$broker" 2> /dev/null || break
        sleep 0.1
    done
    echo "the broker does not serve:" >&2
    tail "$work/broker.log" >&2
    exit 2
}

python() {
    if [ ! -x "$work/python/bin/python" ]; then
        python3 -m venv "$work/python" || return
    fi
    "$work/python/bin/pip" install -q --disable-pip-version-check -r "$here/python/requirements.txt"
}
go_program() { (cd "$here/go" && go build -p 2 -o "$work/go/$1" "./$1"); }
node_modules() {
    mkdir -p "$work/node" && cp "$here"/node/* "$work/node" && (cd "$work/node" && npm ci --silent --no-audit --no-fund)
}

# What is needed for a client, then its tour.
fetch() {
    case $1 in
        kafka-python | aiokafka) python ;;
        franz-go) go_program franz ;;
        kafka-go) go_program kafkago ;;
        sarama) go_program sarama ;;
        kafkajs) node_modules ;;
        java) [ -n "${KAFKA_LIB:-}" ] || { echo "KAFKA_LIB is not set"; return 1; } ;;
        *) echo "no client $1"; return 1 ;;
    esac
}
tour() {
    case $1 in
        kafka-python) exec timeout "$limit_s" "$work/python/bin/python" "$here/python/kafka_python.py" "$BOOTSTRAP" ;;
        aiokafka) exec timeout "$limit_s" "$work/python/bin/python" "$here/python/aiokafka_tour.py" "$BOOTSTRAP" ;;
        franz-go) exec timeout "$limit_s" "$work/go/franz" "$BOOTSTRAP" ;;
        kafka-go) exec timeout "$limit_s" "$work/go/kafkago" "$BOOTSTRAP" ;;
        sarama) exec timeout "$limit_s" "$work/go/sarama" "$BOOTSTRAP" ;;
        kafkajs) cd "$work/node" && exec timeout "$limit_s" node kafkajs_tour.js "$BOOTSTRAP" ;;
        java) exec timeout "$limit_s" "$here/java/tour.sh" "$BOOTSTRAP" ;;
    esac
}

[ -n "${BOOTSTRAP:-}" ] || start
table= failed=0
for client in "${clients[@]}"; do
    echo "== $client"
    outcome=passed
    if ! fetch "$client" > "$work/$client.fetch" 2>&1; then
        outcome="could not be fetched"
        tail -5 "$work/$client.fetch"
    else
        (tour "$client") 2>&1 | tee "$work/$client.log"
        [ "${PIPESTATUS[0]}" = 0 ] || outcome=failed
    fi
    [ "$outcome" = passed ] || failed=1
    steps=$(grep -c '^ok' "$work/$client.log" 2> /dev/null)
    table+=$(printf '%-14s %-22s %s steps' "$client" "$outcome" "${steps:-0}")$'\n'
done
printf '\n%s' "$table"
exit $failed
