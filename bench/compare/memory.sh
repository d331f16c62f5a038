#!/bin/bash
# Memory under mixed load, beside what is configured: one producer at RATE_MB, two readers of the tail, and readers that go through the whole
# backlog again and again, for MINUTES. Old segments are deleted
# meanwhile, at the broker's check every 5 minutes: at 40 MB/s the disk holds 15 GB at most.
#
#   bench/compare/memory.sh target/release/corelane
#
# Printed every EACH_S seconds: resident memory, the limit of all budgets together (corelane_memory_limit_bytes; no pool may take more), what is
# taken of it, segments' bytes on the disk. Exit code 1: memory was above the limit and SPARE_MB (code, stacks, indexes, connections) at some time, or
# more than 5 % higher in the last third than it was at most in the second.
#
# Environment (defaults): WORK=./memory-work PORT=22320 MINUTES=10 EACH_S=30 SHARDS=2 CACHE=512MiB RATE_MB=40 RETAIN_MB=768 SPARE_MB=256
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -eq 1 ] || { sed -n '2,12p' "$0"; exit 2; }
program=$(realpath "$1") port=${PORT:-22320} work=$(realpath -m "${WORK:-./memory-work}") each_s=${EACH_S:-30}
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work"
loads=()
clean_up() {
    for pid in "${loads[@]}"; do kill -TERM "$pid" 2> /dev/null || true; done
    stop_broker
    rm -rf "$work"
}
trap clean_up EXIT

# Bytes of one metric, all shards and the pools that match.
metric() { # NAME POOLS
    curl -s "http://127.0.0.1:$((port + 1))/metrics" | awk -v name="$1" -v pools="$2" 'index($1, name "{") == 1 && $1 ~ pools {sum += $2} END {printf "%.0f", sum / 1048576}'
}

start_broker "$program" "0-$(($(nproc) - 1))" "$port" "$work/data" --shards "${SHARDS:-2}" --cache-bytes "${CACHE:-512MiB}" \
    --http-listen "127.0.0.1:$((port + 1))"
"$program" topic create memory -p 4 -b "127.0.0.1:$port" --config segment.bytes=134217728 --config retention.bytes=$((${RETAIN_MB:-768} * 1000000)) > /dev/null
"$program" bench produce --bootstrap "127.0.0.1:$port" --topic memory --record-bytes 1024 --batch-bytes 64KiB --rate $((${RATE_MB:-40} * 1000000 / 1024)) --duration $((${MINUTES:-10} * 60 + 60))s --yes > "$work/produce.txt" 2>&1 &
loads+=($!)
"$program" bench consume --bootstrap "127.0.0.1:$port" --topic memory --from latest --readers 2 --duration $((${MINUTES:-10} * 60 + 60))s > "$work/tail.txt" 2>&1 &
loads+=($!)
# What is deleted while it is read is asked for from its new beginning by the next reader.
(
    trap 'kill "$reader" 2> /dev/null; exit' TERM
    while :; do
        "$program" bench consume --bootstrap "127.0.0.1:$port" --topic memory --from earliest --readers 3 --duration 30s > "$work/cold.txt" 2>&1 &
        reader=$!
        wait "$reader" || true
    done
) &
loads+=($!)

printf '%6s %14s %12s %12s %12s\n' s 'resident MiB' 'limit MiB' 'taken MiB' 'on disk MiB'
began=$(date +%s)
while now=$(($(date +%s) - began)) && [ "$now" -lt $((${MINUTES:-10} * 60)) ]; do
    sleep "$each_s"
    kill -0 "$BROKER_PID" 2> /dev/null || fail "the broker has ended: $(tail -5 "$work/data.log")"
    kill -0 "${loads[0]}" 2> /dev/null || fail "the producer has ended: $(cat "$work/produce.txt")"
    # Unwritten bytes are a part of the tail cache, and buffers hold what others count.
    printf '%6d %14.0f %12d %12d %12d\n' $(($(date +%s) - began)) "$(resident_mib "$BROKER_PID")" "$(metric corelane_memory_limit_bytes 'pool="[^u]')" \
        "$(metric corelane_memory_used_bytes 'pool="[^ub]')" "$(du -sm "$work/data" | cut -f1)" | tee -a "$work/samples"
done
awk -v spare="${SPARE_MB:-256}" '
    {resident[NR] = $2; if ($2 > $3 + spare) above++}
    END {
        for (n = 1; n <= NR; n++) { if (n > 2 * NR / 3) { if (resident[n] > last) last = resident[n] } else if (n > NR / 3 && resident[n] > middle) middle = resident[n] }
        printf "at most %d MiB in the second third, %d MiB in the last; above the limit and %d MiB: %d times\n", middle, last, spare, above
        exit above > 0 || last > middle * 1.05
    }' "$work/samples"
