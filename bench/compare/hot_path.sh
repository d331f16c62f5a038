#!/bin/bash
# The hot path against its targets: this program, the program before the work, Apache Kafka and the null broker, alternating, one row of
# figures a time; broker on one core, client on another. At the end, and whenever hot_path.py is asked: the table.
#
#   KAFKA_LIB=/path/to/kafka/jars BEFORE=/path/to/older/corelane RESULTS=results bench/compare/hot_path.sh target/release/corelane ROW...
#   bench/compare/hot_path.py results
#
#   produce-64k produce-1m     1 KiB records in batches of 64 KiB and 1 MiB, acks 1, 5 requests under way
#   produce-small              100 B records, one in each batch (linger 0), 8 connections with one request under way each
#   tail                       one reader of what one producer writes as fast as it can; fetches of 1 MiB
#   hot cold                   fetches of 1 MiB of a backlog: five readers of one that the cache holds, one reader of one six times as large
#   e2e-low e2e-half           from a record's intended time to its reader, at 10 % and 50 % of KNEE records/s, batches of 8 KiB
#   strict-1 strict-64         64 producers of 1 KiB, each batch synced, on 1 and on 64 partitions; beside them what a journal can do
#   partitions-1 partitions-2000   64 producers, one batch of 1 KiB a request: compare the two rows
#   fan-out                    100 MB/s to 10 readers
#   polls                      1,000 fetches that wait, and nothing comes
#   all                        all of them, in this order
#
# Every run has a new broker on an empty directory, but for Kafka, whose runs of a row are of one process. CPU is the whole machine's less the client's: let nothing else run. The rows must be
# measured with an idle machine: whoever needs it for something else meanwhile spoils the figures, not the script.
#
# Environment (defaults): RESULTS=./hot-path-results (a file for each run; runs that are there already are not made again)
#   BEFORE= KAFKA_LIB= (without them: not measured)  REPEATS=5 DURATION=3s WARMUP=1s  KAFKA_REPEATS=3 KAFKA_WARMUP=30s (of the same load on all
#   cores, once, before its runs: on one core a JVM compiles for minutes)
#   BROKER_CORE=0 CLIENT_CORE=1 PORT=22300 KNEE=100000 WORK=. (a directory of the disk that is meant)
#   CACHE=512MiB (of Corelane; before the warm-up a burst fills it, for fresh memory costs its first touch, once)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -ge 2 ] || { sed -n '2,26p' "$0"; exit 2; }
program=$(realpath "$1")
shift
results=$(realpath -m "${RESULTS:-./hot-path-results}") repeats=${REPEATS:-5} kafka_repeats=${KAFKA_REPEATS:-3} knee=${KNEE:-100000}
all_cores=0-$(($(nproc) - 1)) broker_core=${BROKER_CORE:-0} client_core=${CLIENT_CORE:-1} port=${PORT:-22300} duration=${DURATION:-3s}
work=$(mktemp -d "$(realpath "${WORK:-.}")/hot-path-XXXXXX")
mkdir -p "$results"
trap 'stop_broker; rm -rf "$work"' EXIT

# Starts what a row is measured against: CONTENDER, then further words for `serve`.
start() {
    local contender=$1 serve=(--shards 1 --cache-bytes "${CACHE:-512MiB}" --http-listen none)
    shift
    case $contender in
        now) start_broker "$program" "$broker_core" "$port" "$work/data" "${serve[@]}" "$@" ;;
        before) start_broker "$BEFORE" "$broker_core" "$port" "$work/data" "${serve[@]}" "$@" ;;
        kafka) start_broker "$here/kafka.sh" "$all_cores" "$port" "$work/data" "$@" ;;
        null) start_null "$program" "$broker_core" "$port" "$work/data" --keep-bytes "$null_keeps" ;;
        null-write) start_null "$program" "$broker_core" "$port" "$work/data" --write "$work/data" ;;
    esac
}

load() { "$program" bench "$@" --bootstrap "127.0.0.1:$port" --core "$client_core"; }

burst() { load produce --record-bytes 1024 --batch-bytes 1MiB --pool-bytes 8MiB --partitions 4 --warmup 0s --duration 600ms --yes > "$work/run.txt" 2>&1 || fail "$(cat "$work/run.txt")"; }

# All runs of Kafka in a row: ROW, then as of run. One process for all of them: a JVM compiles what is busy, so it has the same load on all cores first,
# and then the one core that it is measured on.
kafka_runs() {
    local row=$1 number
    shift
    [ ! -e "$results/$row.kafka.$kafka_repeats.json" ] || return 0
    # shellcheck disable=SC2086
    start kafka ${serve:-}
    case $1 in
        polls) "$program" topic create polls -p 1 -b "127.0.0.1:$port" > /dev/null ;;
        consume-backlog)
            "$program" topic create backlog -p 4 -b "127.0.0.1:$port" > /dev/null
            fill_topic "$program" "$port" "$client_core" backlog $((${backlog_mib:-3072} * 1048576))
            set -- consume --topic backlog --readers "${backlog_readers:-1}"
            for _ in $(seq 8); do load "$@" --duration 10s > "$work/run.txt" 2>&1 || fail "$(cat "$work/run.txt")"; done
            ;;
        # What it can't keep up with is no failure here.
        *) load "$@" --yes --duration "${KAFKA_WARMUP:-30s}" --warmup 0s > "$work/run.txt" 2>&1 || true ;;
    esac
    taskset -acp "$broker_core" "$BROKER_PID" > /dev/null
    for ((number = 1; number <= kafka_repeats; number++)); do
        case $1 in
            polls) wait_for_polls ;;
            consume) measured "$row" kafka "$number" "$@" ;;
            *) measured "$row" kafka "$number" "$@" --yes --duration "$duration" --warmup "${WARMUP:-1s}" ;;
        esac
        keep "$row" kafka "$number"
    done
    stop_broker
    rm -rf "$work/data"
}

# ROW CONTENDER NUMBER, then the words for `corelane bench`: what is not whole is kept, marked, and told in the table.
measured() {
    local what="$1, $2, $3" status=0
    shift 3
    load "$@" --json "$work/run.json" > "$work/run.txt" 2>&1 || status=$?
    [ -s "$work/run.json" ] || fail "$what: $(cat "$work/run.txt")"
    [ "$status" = 0 ] || printf '%s\n' "exit code $status" "$(cat "$work/run.txt")"
}

# Those that wait are answered after the end: that is no failure.
wait_for_polls() {
    load consume --topic polls --from latest --readers 1000 --max-wait 60s --duration 5s --warmup "${WARMUP:-1s}" --json "$work/run.json" > "$work/run.txt" 2>&1 || true
    [ -s "$work/run.json" ] || fail "$(cat "$work/run.txt")"
}

keep() { # ROW CONTENDER NUMBER
    mv "$work/run.json" "$results/$1.$2.$3.json"
    printf '  %-10s %s  %s\n' "$2" "$3" "$("$here/hot_path.py" --line "$results/$1.$2.$3.json")"
}

# One run: ROW CONTENDER ROUND, then the words for `corelane bench`; those for `serve` are in $serve.
run() {
    local row=$1 contender=$2 round=$3 null_keeps=64MiB
    shift 3
    [ ! -e "$results/$row.$contender.$round.json" ] || return 0
    # What it keeps for fetches: a backlog as a whole; otherwise so little that its memory is touched before it counts.
    [ "$1" != consume-backlog ] || null_keeps=4GiB
    # shellcheck disable=SC2086
    start "$contender" ${serve:-}
    case $1 in
        # A backlog is read once and has no warm-up: code is warm, and memory touched, once another was read.
        consume-backlog)
            load consume --prepare 1GiB --partitions 4 --yes > "$work/run.txt" 2>&1 || fail "$(cat "$work/run.txt")"
            measured "$row" "$contender" "$round" consume "${@:2}"
            ;;
        polls)
            "$program" topic create polls -p 1 -b "127.0.0.1:$port" > /dev/null
            wait_for_polls
            ;;
        *)
            case $contender in now | before) burst ;; esac
            measured "$row" "$contender" "$round" "$@" --yes --duration "$duration" --warmup "${WARMUP:-1s}"
            ;;
    esac
    stop_broker
    rm -rf "$work/data"
    keep "$row" "$contender" "$round"
}

# All runs of a row: ROW "CONTENDER..." words
row() {
    local name=$1 contenders=$2 round contender
    shift 2
    printf '%s: %s\n' "$name" "$*"
    for ((round = 1; round <= repeats; round++)); do
        for contender in $contenders; do
            case $contender in
                before) [ -n "${BEFORE:-}" ] || continue ;;
                # Its runs are in the middle of the others'.
                kafka)
                    if [ -n "${KAFKA_LIB:-}" ] && [ "$round" = $(((repeats + 1) / 2)) ]; then kafka_runs "$name" "$@"; fi
                    continue
                    ;;
            esac
            run "$name" "$contender" "$round" "$@"
        done
    done
}

journal() { # ROW PARTITIONS ROUND
    local json=$results/$1.journal.$3.json
    [ -e "$json" ] || "$program" bench journal "$work" --partitions "$2" --core "$broker_core" --duration "$duration" --repeats 1 --json "$json" > "$work/run.txt" ||
        fail "$(cat "$work/run.txt")"
}

# The journal's turn is before each round's.
strict() { # PARTITIONS
    # Kafka waits for the disk here, not for its compiler.
    local all=$repeats round serve="--durability strict" KAFKA_WARMUP=10s
    for ((round = 1; round <= all; round++)); do
        journal "strict-$1" "$1" "$round"
        repeats=$round row "strict-$1" "now before kafka null" "${small[@]}" --partitions "$1"
    done
}

share() { awk -v knee="$knee" -v share="$1" 'BEGIN {printf "%d", knee * share}'; }

produce=(produce --acks 1 --partitions 4 --record-bytes 1024)
backlog=(consume-backlog --record-bytes 1024 --batch-bytes 64KiB --partitions 4 --yes)
small=(produce --record-bytes 1024 --batch-bytes 1KiB --connections 64 --in-flight 1 --pool-bytes 8MiB)
e2e=(e2e --record-bytes 1024 --batch-bytes 8KiB)
everyone="now before kafka null"
one() {
    case $1 in
        produce-64k) row "$1" "$everyone null-write" "${produce[@]}" --batch-bytes 64KiB ;;
        produce-1m) row "$1" "$everyone null-write" "${produce[@]}" --batch-bytes 1MiB ;;
        produce-small) row "$1" "$everyone" produce --record-bytes 100 --batch-bytes 100 --connections 8 --in-flight 1 --pool-bytes 1MiB ;;
        tail) row "$1" "$everyone" fan-out --readers 1 --record-bytes 1024 --batch-bytes 64KiB --in-flight 5 ;;
        hot) backlog_mib=400 backlog_readers=5 row "$1" "$everyone" "${backlog[@]}" --prepare 400MiB --readers 5 ;;
        cold) row "$1" "$everyone" "${backlog[@]}" --prepare 3GiB ;;
        e2e-low) row "$1" "now before kafka" "${e2e[@]}" --rate "$(share 0.1)" ;;
        e2e-half) row "$1" "now before kafka" "${e2e[@]}" --rate "$(share 0.5)" ;;
        strict-1) strict 1 ;;
        strict-64) strict 64 ;;
        partitions-1) row "$1" "now before" "${small[@]}" --partitions 1 ;;
        partitions-2000) row "$1" "now before" "${small[@]}" --partitions 2000 ;;
        fan-out) row "$1" "now before kafka" fan-out --readers 10 --record-bytes 1024 --rate 100000 ;;
        polls) row "$1" "now before kafka" polls ;;
        *) fail "there is no row $1" ;;
    esac
}
[ "$1" != all ] || set -- produce-64k produce-1m produce-small tail hot cold e2e-low e2e-half strict-1 strict-64 partitions-1 partitions-2000 fan-out polls
for name in "$@"; do one "$name"; done
"$here/hot_path.py" "$results"
