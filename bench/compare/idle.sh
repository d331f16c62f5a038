#!/bin/bash
# What a broker costs that has nothing to do: start time, memory, CPU.
#
#   bench/compare/idle.sh target/release/corelane
#   KAFKA_LIB=... bench/compare/idle.sh bench/compare/kafka.sh
#
# 1. Ten starts on an empty directory: milliseconds until ApiVersions is answered (polled every 2 ms).
# 2. With 100 and with 2,000 partitions that all hold data, two shards: resident memory after the producing, after 20 idle
#    seconds, and after a clean restart; CPU time in those 20 seconds, in percent of one core.
#
# Environment (defaults): WORK=./idle-work PORT=19192 SHARDS=2 IDLE_S=20 STARTS=10 PARTITIONS="100 2000"
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -eq 1 ] || { sed -n '2,13p' "$0"; exit 2; }
program=$(realpath "$1") port=${PORT:-19192} shards=${SHARDS:-2} idle_s=${IDLE_S:-20}
all_cores=0-$(($(nproc) - 1))
work=$(realpath -m "${WORK:-./idle-work}")
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work"
trap 'stop_broker; rm -rf "$work"' EXIT

for ((start = 1; start <= ${STARTS:-10}; start++)); do
    start_broker "$program" "$all_cores" "$port" "$work/empty" --shards "$shards"
    echo "$START_MS" >> "$work/starts"
    stop_broker
    rm -rf "$work/empty"
done
echo "start on an empty directory, ms: median (min .. max) $(median < "$work/starts")"

idle() { # WHAT: sleeps, then says memory and CPU
    local before after
    before=$(process_ticks "$BROKER_PID")
    sleep "$idle_s"
    after=$(process_ticks "$BROKER_PID")
    awk -v what="$1" -v mib="$(resident_mib "$BROKER_PID")" -v ticks=$((after - before)) -v hz="$CLOCK_TICKS" \
        -v s="$idle_s" 'BEGIN {printf "  %s: %s MiB resident, %.2f%% of a core over %d s\n", what, mib, 100 * ticks / hz / s, s}'
}

for partitions in ${PARTITIONS:-100 2000}; do
    start_broker "$program" "$all_cores" "$port" "$work/$partitions" --shards "$shards" --default-partitions "$partitions"
    # Keys spread by their hash: a hundred records for each partition.
    awk -v n=$((partitions * 100)) 'BEGIN {for (i = 0; i < n; i++) printf "key%d:value %d %0200d\n", i, i, i}' |
        kcat -P -b 127.0.0.1:"$port" -t idle -K: -X topic.metadata.refresh.interval.ms=1000
    with_data=$(partitions_with_data "$port" idle "$partitions")
    [ "$with_data" -eq "$partitions" ] || fail "$with_data of $partitions partitions hold data"
    echo "$partitions partitions with data, $shards shards: $(resident_mib "$BROKER_PID") MiB resident after producing"
    idle "idle"
    stop_broker
    start_broker "$program" "$all_cores" "$port" "$work/$partitions" --shards "$shards" --default-partitions "$partitions"
    echo "  clean restart: $START_MS ms"
    idle "idle after the restart"
    stop_broker
done
