#!/bin/bash
# Two brokers, one client, alternating: A B A B ... Throughput and CPU time per GB, as ratios of neighbouring runs.
#
#   KAFKA_LIB=/path/to/kafka/jars bench/compare/compare.sh target/release/corelane bench/compare/kafka.sh
#
# A and B are programs with the command line of `corelane serve`. Each run starts a broker on an empty directory, warms it
# up with WARM_BYTES (a JVM compiles its code meanwhile), produces with Kafka's own ProducerPerformance and reads everything back with kcat.
# The broker is pinned to one core, the client to another. What is printed per run:
#
#   produce_mb_s       value bytes per second, as the client reports them (1 MB = 10^6 bytes)
#   broker_s_per_gb    user + system time of the broker process per 10^9 value bytes
#   machine_s_per_gb   busy time of the whole machine less the client's: interrupts and kernel workers included
#   consume_mb_s       value bytes per second of kcat, from the beginning to the end
#   consume_s_per_gb   broker process time per 10^9 value bytes read
#
# Environment (defaults): PAIRS=3 SIZES="100 1024" ACKS="1 all" BYTES=1000000000 (per run) WARM_BYTES=300000000 PARTITIONS=4
#   BROKER_CORE=0 CLIENT_CORE=1 WORK=./compare-work (on the disk to be measured) PORT=19192
#   BATCH=16384 LINGER=5 (the producer's batch.size and linger.ms)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -eq 2 ] || { sed -n '2,22p' "$0"; exit 2; }
: "${KAFKA_LIB:?set KAFKA_LIB to the directory of Kafka\'s jars (docs/measuring.md): the client comes from there}"
a=$(realpath "$1") b=$(realpath "$2")
pairs=${PAIRS:-3} bytes=${BYTES:-1000000000} partitions=${PARTITIONS:-4} port=${PORT:-19192}
broker_core=${BROKER_CORE:-0} client_core=${CLIENT_CORE:-1}
work=$(realpath -m "${WORK:-./compare-work}")
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work"
trap 'stop_broker; rm -rf "$work"' EXIT

produce() { # TOPIC RECORDS SIZE ACKS: prints MB/s
    taskset -c "$client_core" java -Xms512m -Xmx512m -cp "$KAFKA_LIB/*" org.apache.kafka.tools.ProducerPerformance \
        --topic "$1" --num-records "$2" --record-size "$3" --throughput -1 --command-property \
        bootstrap.servers=127.0.0.1:"$port" acks="$4" batch.size="${BATCH:-16384}" linger.ms="${LINGER:-5}" \
        > "$work/client.out" 2> "$work/client.err" || fail "the producer failed: $(cat "$work/client.out" "$work/client.err")"
    # "N records sent, R records/sec (M MB/sec), ...": the last line; its MB are MiB, so it is counted from the records.
    tail -1 "$work/client.out" | awk -v size="$3" '{for (i = 1; i < NF; i++) if ($(i + 1) ~ /^records\/sec/) printf "%.2f", $i * size / 1e6}'
}

run() { # NAME PROGRAM SIZE ACKS ROUND: appends one line to the results
    local name=$1 program=$2 size=$3 acks=$4 round=$5 records=$((bytes / $3)) rate
    local process_0 machine_0 client_0 process_1 machine_1 client_1 begin end read_records
    start_broker "$program" "$broker_core" "$port" "$work/$name-$round" --shards 1 --default-partitions "$partitions"
    produce warm $((${WARM_BYTES:-300000000} / size)) "$size" "$acks" > /dev/null
    sync
    process_0=$(process_ticks "$BROKER_PID") machine_0=$(machine_ticks) client_0=$(children_ticks)
    produce measured "$records" "$size" "$acks" > "$work/rate"
    process_1=$(process_ticks "$BROKER_PID") machine_1=$(machine_ticks) client_1=$(children_ticks)
    rate=$(cat "$work/rate")
    begin=$(date +%s%N)
    read_records=$(taskset -c "$client_core" kcat -C -q -e -o beginning -b 127.0.0.1:"$port" -t measured -f . \
        -X fetch.message.max.bytes=1048576 -X queued.max.messages.kbytes=262144 | wc -c)
    end=$(date +%s%N)
    [ "$read_records" -eq "$records" ] || fail "$name: $records records produced, $read_records read back"
    local process_2
    process_2=$(process_ticks "$BROKER_PID")
    awk -v name="$name" -v size="$size" -v acks="$acks" -v round="$round" -v rate="$rate" -v bytes=$((records * size)) \
        -v hz="$CLOCK_TICKS" -v process=$((process_1 - process_0)) -v machine=$((machine_1 - machine_0)) \
        -v client=$((client_1 - client_0)) -v reader=$((process_2 - process_1)) -v ns=$((end - begin)) 'BEGIN {
            gb = bytes / 1e9
            printf "%-12s %5d B acks=%-3s run %d %9.1f %9.3f %9.3f %9.1f %9.3f\n", name, size, acks, round, rate,
                process / hz / gb, (machine - client) / hz / gb, bytes / 1e6 / (ns / 1e9), reader / hz / gb }' |
        tee -a "$work/results"
    stop_broker
    rm -rf "$work/$name-$round" "$work/$name-$round.log"
}

name_a=A-$(basename "$a" .sh) name_b=B-$(basename "$b" .sh)
echo "kernel $(uname -r), $(nproc) cores, $(date -u +%F); $pairs pairs, $bytes value bytes a run, $partitions partitions"
printf '%-12s %7s %8s %5s %9s %9s %9s %9s %9s\n' broker size acks '' produce broker machine consume broker
printf '%-12s %7s %8s %5s %9s %9s %9s %9s %9s\n' '' '' '' '' MB/s s/GB s/GB MB/s s/GB
for size in ${SIZES:-100 1024}; do
    for acks in ${ACKS:-1 all}; do
        for ((round = 1; round <= pairs; round++)); do
            run "$name_a" "$a" "$size" "$acks" "$round"
            run "$name_b" "$b" "$size" "$acks" "$round"
        done
    done
done
echo
echo "A / B, per pair: median (min .. max). For MB/s more is better, for s/GB less."
for size in ${SIZES:-100 1024}; do
    for acks in ${ACKS:-1 all}; do
        column=7
        for what in 'produce MB/s' 'broker s/GB producing' 'machine s/GB producing' 'consume MB/s' 'broker s/GB consuming'; do
            ratios=$(awk -v a="$name_a" -v b="$name_b" -v size="$size" -v acks="acks=$acks" -v c=$column '
                $2 == size && $4 == acks { if ($1 == a) first[$6] = $c; else if ($1 == b && $c > 0) print first[$6] / $c }' \
                "$work/results" | median)
            printf '%5d B acks=%-3s %-24s %s\n' "$size" "$acks" "$what" "$ratios"
            column=$((column + 1))
        done
    done
done
