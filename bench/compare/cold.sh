#!/bin/bash
# A backlog read back from files, by one consumer and by several at once.
#
#   bench/compare/cold.sh BENCH PROGRAM...
#   KAFKA_LIB=... bench/compare/cold.sh target/release/corelane target/release/corelane bench/compare/kafka.sh
#
# BENCH is the corelane whose `bench` loads them. Each PROGRAM gets as many bytes in one partition, is started again with a small cache
# (--cache-bytes 64MiB) and pinned to one core; the consumers, one process each, to another. Then, RUNS times each:
#   cold: none of its files is in the page cache (posix_fadvise, by dd's nocache)
#   warm: they were just read
# Printed: MB/s of all consumers, CPU seconds per GB of the broker's process, and of the whole machine without the consumers.
#
# Environment (defaults): WORK=./cold-work PORT=19292 SECONDS_TO_FILL=35 RUNS=3 READERS="1 8" WARM_UPS=3 BROKER_CORE=0 CLIENT_CORE=1
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -ge 2 ] || { sed -n '2,14p' "$0"; exit 2; }
bench=$(realpath "$1") port=${PORT:-19292} work=$(realpath -m "${WORK:-./cold-work}")
broker_core=${BROKER_CORE:-0} client_core=${CLIENT_CORE:-1}
shift
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work"
trap 'stop_broker; rm -rf "$work"' EXIT

start() { start_broker "$1" "$broker_core" "$port" "$2" --cache-bytes 64MiB --http-listen none; }

client() { taskset -c "$client_core" "$bench" "$@" > "$work/client.txt" 2>&1 || fail "$(cat "$work/client.txt")"; }

consume() { # READERS
    local readers=() reader
    for ((reader = 0; reader < $1; reader++)); do
        taskset -c "$client_core" "$bench" bench consume --bootstrap "127.0.0.1:$port" --topic cold --core "$client_core" \
            > "$work/reader-$reader.txt" 2>&1 &
        readers+=($!)
    done
    for reader in "${readers[@]}"; do wait "$reader" || fail "$(cat "$work"/reader-*.txt)"; done
}

cool() { # DIR
    sync -f "$1"
    find "$1" -name '*.log' -size +1M -print0 | xargs -0 -I{} dd of={} oflag=nocache conv=notrunc count=0 status=none
}

measure() { # NAME READERS
    local begin broker machine clients
    begin=$(date +%s%N) broker=$(process_ticks "$BROKER_PID") machine=$(machine_ticks) clients=$(children_ticks)
    consume "$2"
    awk -v name="$1" -v readers="$2" -v ns=$(($(date +%s%N) - begin)) -v hz="$CLOCK_TICKS" \
        -v mb="$(awk '$1 == "bytes" {sum += $2} END {print sum}' "$work"/reader-*.txt)" \
        -v broker=$(($(process_ticks "$BROKER_PID") - broker)) \
        -v machine=$(($(machine_ticks) - machine - $(children_ticks) + clients)) \
        'BEGIN {printf "  %-5s %2d readers %7.0f MB/s   broker %.3f CPU s/GB   machine %.3f CPU s/GB\n",
            name, readers, mb / (ns / 1e9), broker / hz / mb * 1000, machine / hz / mb * 1000}'
    rm "$work"/reader-*.txt
}

for program in "$@"; do
    program=$(realpath "$program") data=$work/data
    echo "$program"
    start "$program" "$data"
    client topic create cold -p 1 -b "127.0.0.1:$port"
    client bench produce --bootstrap "127.0.0.1:$port" --topic cold --core "$client_core" --record-bytes 1024 \
        --batch-bytes 256KiB --rate 60000 --warmup 0s --duration "${SECONDS_TO_FILL:-35}s"
    stop_broker
    start "$program" "$data"
    for ((run = 0; run < ${WARM_UPS:-3}; run++)); do consume 1; done # a JVM compiles meanwhile
    for readers in ${READERS:-1 8}; do
        for ((run = 0; run < ${RUNS:-3}; run++)); do
            cool "$data"
            measure cold "$readers"
            measure warm "$readers"
        done
    done
    stop_broker
    rm -rf "$data"
done
