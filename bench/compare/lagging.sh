#!/bin/bash
# Readers that lag: how fast they catch up, what that costs, and what it does to the producer beside them.
#
#   bench/compare/lagging.sh BENCH PROGRAM...
#   KAFKA_LIB=... bench/compare/lagging.sh target/release/corelane target/release/corelane bench/compare/kafka.sh
#
# BENCH is the corelane whose `bench` loads them. One producer writes at a steady rate; readers begin so many seconds of it behind the end and
# read to where the end is when they begin, again and again, for READ_S seconds a round. The distance is what counts, not how
# it came about: the topic is filled as fast as the broker takes it, then the producer goes on at its rate.
#
# LAGS are pairs of seconds and MB/s. 10 minutes at 100 MB/s are 60 GB; where the disk is not as large, the rate is lower: 600:20 is 10 minutes of
# 20 MB/s, 12 GB, which is to be said beside the figures. It is more than the broker's cache all the same.
#
# Printed for each: MB/s of all readers together, CPU seconds per GB of the broker and of the machine less its clients, and the producer's
# p50 and p99 alone and meanwhile.
#
# Environment (defaults): WORK=./lagging-work PORT=22310 LAGS="1:100 10:100 600:20" READERS="1 50" READ_S=6 BROKER_CORE=0 CLIENT_CORE=1 CACHE=512MiB
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -ge 2 ] || { sed -n '2,17p' "$0"; exit 2; }
bench=$(realpath "$1") port=${PORT:-22310} work=$(realpath -m "${WORK:-./lagging-work}") read_s=${READ_S:-6}
broker_core=${BROKER_CORE:-0} client_core=${CLIENT_CORE:-1} partitions=4
shift
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work"
producer=
end_producer() { # A run that is ended is told, and ends with 3.
    [ -n "$producer" ] || return 0
    kill -TERM "$producer" 2> /dev/null || true
    wait "$producer" 2> /dev/null || true
    producer=
}
trap 'end_producer; stop_broker; rm -rf "$work"' EXIT

load() { "$bench" bench "$@" --bootstrap "127.0.0.1:$port" --core "$client_core"; }

start_producer() { # MB_PER_S NAME
    # Not by load: the process itself is what is ended and timed.
    # It shares its core with the readers, and must not wait for them: its latency is to be the broker's.
    nice -n -19 "$bench" bench produce --bootstrap "127.0.0.1:$port" --core "$client_core" --topic lagging --record-bytes 1024 --batch-bytes 64KiB \
        --rate "$(($1 * 1000000 / 1024))" --warmup 1s --duration 10m --yes --pool-bytes 16MiB --json "$work/$2.json" > "$work/$2.txt" 2>&1 &
    producer=$!
    sleep 2
    kill -0 "$producer" 2> /dev/null || fail "$(cat "$work/$2.txt")"
}

told() { "$here/hot_path.py" --line "$work/$1.json" | tr ';' '\n' | sed -n 's/^ *\(p50\|p99\), us /\1 /p' | paste -sd ' '; }

measure() { # LAG_S MB_PER_S READERS
    local records=$(($1 * $2 * 1000000 / 1024 / partitions)) begin end mb=0 broker machine clients client
    start_producer "$2" alone
    sleep "$read_s"
    end_producer
    start_producer "$2" beside
    broker=$(process_ticks "$BROKER_PID") machine=$(machine_ticks) clients=$(process_ticks "$producer") client=$(children_ticks) begin=$(date +%s%N)
    end=$((begin + read_s * 1000000000))
    # A run is cut at the end of the round, and tells what it has read until then.
    while [ "$(date +%s%N)" -lt "$end" ]; do
        load consume --topic lagging --behind "$records" --readers "$3" --duration "$(((end - $(date +%s%N)) / 1000000 + 1))ms" > "$work/read.txt" 2>&1 ||
            [ $? = 3 ] || fail "$(cat "$work/read.txt")"
        mb=$((mb + $(awk '$1 == "bytes" {print $2}' "$work/read.txt")))
    done
    awk -v lag="$1" -v rate="$2" -v readers="$3" -v mb="$mb" -v ns=$(($(date +%s%N) - begin)) -v hz="$CLOCK_TICKS" \
        -v broker=$(($(process_ticks "$BROKER_PID") - broker)) \
        -v machine=$(($(machine_ticks) - machine - $(process_ticks "$producer") + clients - $(children_ticks) + client)) \
        'BEGIN {printf "  %3d s x %3d MB/s behind, %2d readers: %6.0f MB/s   broker %.3f CPU s/GB   machine %.3f CPU s/GB",
            lag, rate, readers, mb / (ns / 1e9), broker / hz / mb * 1000, machine / hz / mb * 1000}'
    end_producer
    printf '   producer alone: %s, beside: %s\n' "$(told alone)" "$(told beside)"
}

for program in "$@"; do
    program=$(realpath "$program")
    echo "$program"
    for lag in ${LAGS:-1:100 10:100 600:20}; do
        start_broker "$program" "$broker_core" "$port" "$work/data" --shards 1 --cache-bytes "${CACHE:-512MiB}" --http-listen none
        "$bench" topic create lagging -p "$partitions" -b "127.0.0.1:$port" > /dev/null
        fill_topic "$bench" "$port" "$client_core" lagging $((${lag%:*} * ${lag#*:} * 1000000 + 200000000))
        # Code that a JVM has not compiled yet is not what is compared.
        load consume --topic lagging --from earliest --readers 2 --duration 5s > /dev/null 2>&1 || [ $? = 3 ]
        for readers in ${READERS:-1 50}; do measure "${lag%:*}" "${lag#*:}" "$readers"; done
        stop_broker
        rm -rf "$work/data"
    done
done
