#!/bin/bash
# The hot path beside Apache Kafka and the null broker, one row of figures a time: broker on one core, client on another, alternating runs.
#
#   KAFKA_LIB=/path/to/kafka/jars bench/compare/hot_path.sh target/release/corelane ROW...
#
#   produce-64k produce-1m     1 KiB records in batches of 64 KiB and 1 MiB, acks 1, 5 requests under way
#   produce-small              100 B records, one in each batch (linger 0), 8 connections with one request under way each
#   tail                       one reader of what one producer writes as fast as it can; fetches of 1 MiB
#   hot cold                   fetches of 1 MiB of a backlog: one that the cache holds, one six times as large
#   e2e-low e2e-half           from a record's intended time to its reader, at 10 % and 50 % of KNEE records/s
#   strict-1 strict-64         64 producers of 1 KiB, each batch synced, on 1 and on 64 partitions
#   partitions-1 partitions-2000   64 producers, one batch of 1 KiB a request: compare the two rows
#   fan-out                    100 MB/s to 10 readers
#   all                        all of them, in this order
#
# What is told of each row: every broker's figures, then ratios of neighbouring runs, median (least .. largest). CPU of the machine less
# the client's is `machine CPU`: let nothing else run. Environment (defaults): REPEATS=5 DURATION=6s WARMUP=6s BROKER_CORE=0 CLIENT_CORE=1
# KNEE=100000 WORK=. (a directory of the disk that is meant) CACHE=512MiB (the cache of Corelane, so small that it is full after the warm-up:
# fresh memory costs its first touch, once) RESULTS= (a directory for --json files).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '2,22p' "$0"; exit 2; }
: "${KAFKA_LIB:?set KAFKA_LIB to the directory of Kafka\'s jars (docs/measuring.md)}"
program=$(realpath "$1")
shift
repeats=${REPEATS:-5} duration=${DURATION:-6s} warmup=${WARMUP:-6s} knee=${KNEE:-100000} work=$(realpath "${WORK:-.}")
kafka=(--against "cmd:$here/kafka.sh")

# Runs one row: its name, then the words for `corelane bench`.
row() {
    local name=$1
    shift
    printf '\n== %s: corelane bench %s\n' "$name" "$*"
    local json=()
    [ -z "${RESULTS:-}" ] || json=(--json "$RESULTS/$name.json")
    "$program" bench "$@" --spawn --spawn-dir "$work" --spawn-cores "${BROKER_CORE:-0}" --core "${CLIENT_CORE:-1}" --repeats "$repeats" \
        --spawn-arg=--shards --spawn-arg=1 --spawn-arg=--cache-bytes --spawn-arg="${CACHE:-512MiB}" --yes "${json[@]}"
}
timed() { row "$@" --duration "$duration" --warmup "$warmup"; }
share() { awk -v knee="$knee" -v share="$1" 'BEGIN {printf "%d", knee * share}'; }

produce=(produce --acks 1 --partitions 4)
strict=(produce --record-bytes 1024 --batch-bytes 1KiB --connections 64 --in-flight 1 --spawn-arg=--durability --spawn-arg=strict)
consume=(consume --record-bytes 1024 --batch-bytes 64KiB --partitions 4)
small=(produce --record-bytes 1024 --batch-bytes 1KiB --connections 64 --in-flight 1)
one() {
    case $1 in
        produce-64k) timed "$1" "${produce[@]}" --record-bytes 1024 --batch-bytes 64KiB "${kafka[@]}" --against null --against null-write ;;
        produce-1m) timed "$1" "${produce[@]}" --record-bytes 1024 --batch-bytes 1MiB "${kafka[@]}" --against null --against null-write ;;
        produce-small) timed "$1" "${produce[@]}" --record-bytes 100 --batch-bytes 100 --connections 8 --in-flight 1 "${kafka[@]}" ;;
        tail) timed "$1" fan-out --readers 1 --record-bytes 1024 --batch-bytes 64KiB --in-flight 5 "${kafka[@]}" ;;
        hot) row "$1" "${consume[@]}" --prepare 400MiB "${kafka[@]}" --against null ;;
        cold) row "$1" "${consume[@]}" --prepare 3GiB "${kafka[@]}" --against null ;;
        e2e-low) timed "$1" e2e --record-bytes 1024 --rate "$(share 0.1)" "${kafka[@]}" ;;
        e2e-half) timed "$1" e2e --record-bytes 1024 --rate "$(share 0.5)" "${kafka[@]}" ;;
        strict-1) timed "$1" "${strict[@]}" --partitions 1 "${kafka[@]}" ;;
        strict-64) timed "$1" "${strict[@]}" --partitions 64 "${kafka[@]}" ;;
        partitions-1) timed "$1" "${small[@]}" --partitions 1 "${kafka[@]}" ;;
        partitions-2000) timed "$1" "${small[@]}" --partitions 2000 "${kafka[@]}" ;;
        fan-out) timed "$1" fan-out --readers 10 --record-bytes 1024 --rate 100000 "${kafka[@]}" ;;
        *) echo "hot_path.sh: there is no row $1" >&2; exit 2 ;;
    esac
}
[ "$1" != all ] || set -- produce-64k produce-1m produce-small tail hot cold e2e-low e2e-half strict-1 strict-64 partitions-1 partitions-2000 fan-out
for name in "$@"; do one "$name"; done
