#!/bin/bash
# What a request costs in system calls, allocations, copies and wake-ups: the broker is watched from outside under a steady load.
#
#   bench/compare/per_request.sh BENCH PROGRAM...
#
# BENCH is the corelane whose `bench` loads them. For each PROGRAM and each LOAD, at one rate that both keep up with:
#   - system calls by kind, sleeps (voluntary context switches) and what preempted it: strace -c and /proc
#   - allocations, and bytes copied by memcpy and memmove in copies of 4 KiB and more: count_calls.c, preloaded (not for JVMs: their allocator
#     and their copies are their own); what the kernel copies, once in and once out, comes on top
#
# Each in a run of its own, for strace slows what it counts. Environment (defaults): WORK=./per-request-work PORT=22330 SECONDS_EACH=4
#   LOADS="small batch fetch" (small: 1 KiB records one by one; batch: 64 KiB batches; fetch: the tail by one reader)  BROKER_CORE=0 CLIENT_CORE=1
# Needs strace and cc.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -ge 2 ] || { sed -n '2,13p' "$0"; exit 2; }
command -v strace > /dev/null || fail "strace is missing: apt install strace"
command -v cc > /dev/null || fail "cc is missing: apt install build-essential"
bench=$(realpath "$1") port=${PORT:-22330} work=$(realpath -m "${WORK:-./per-request-work}") seconds=${SECONDS_EACH:-4}
shift
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work"
client=
trap 'kill "$client" 2> /dev/null || true; stop_broker; rm -rf "$work"' EXIT
cc -O2 -fno-builtin -shared -fPIC -o "$work/count_calls.so" "$here/count_calls.c" -ldl

words() { # LOAD: what is asked; rates that a broker under strace keeps up with
    case $1 in
        small) echo produce --record-bytes 1024 --batch-bytes 1KiB --connections 8 --partitions 4 --rate 2000 ;;
        batch) echo produce --record-bytes 1024 --batch-bytes 64KiB --connections 1 --partitions 4 --rate 32000 ;;
        fetch) echo e2e --record-bytes 1024 --batch-bytes 4KiB --partitions 1 --rate 4000 ;;
        *) fail "there is no load $1" ;;
    esac
}

# Starts the load, waits until it is steady; $client is its process.
begin() {
    # shellcheck disable=SC2046
    "$bench" bench $(words "$1") --bootstrap "127.0.0.1:$port" --core "${CLIENT_CORE:-1}" --warmup 1s --duration $((seconds + 2))s --pool-bytes 1MiB --yes \
        --json "$work/run.json" > "$work/run.txt" 2>&1 &
    client=$!
    sleep 2
}
finish() {
    wait "$client" || fail "$(cat "$work/run.txt")"
    client=
    per_s=$(awk '$1 == "\"requests_per_s\":" {print $2 + 0; exit}' "$work/run.json")
}
start() { start_broker "$1" "${BROKER_CORE:-0}" "$port" "$work/data" --shards 1 --http-listen none; }
stop() { stop_broker; rm -rf "$work/data"; }

switches() { cat /proc/"$BROKER_PID"/task/*/status | awk '/^voluntary/ {wished += $2} /^nonvoluntary/ {forced += $2} END {print wished, forced}'; }
counters() { od -An -v -t u8 -w56 "$work/counters"; }

for program in "$@"; do
    program=$(realpath "$program")
    for load in ${LOADS:-small batch fetch}; do
        echo "$program, $load: $(words "$load")"
        start "$program"
        begin "$load"
        before=$(switches)
        sleep "$seconds"
        after=$(switches)
        finish
        echo "$before $after $per_s" | awk -v s="$seconds" '{printf "  per request: %.2f sleeps, %.2f times preempted\n", ($3 - $1) / s / $5, ($4 - $2) / s / $5}'
        begin "$load"
        timeout -s INT "$seconds" strace -c -f -o "$work/strace.txt" -p "$BROKER_PID" 2> /dev/null || [ $? = 124 ]
        finish
        awk -v n="$per_s" -v s="$seconds" '$4 ~ /^[0-9]+$/ && $NF != "total" {all += $4; told = told sprintf(", %s %.2f", $NF, $4 / s / n)}
            END {printf "  per request: %.2f system calls%s\n", all / s / n, told}' "$work/strace.txt"
        stop
        : > "$work/counters"
        LD_PRELOAD=$work/count_calls.so COUNT_CALLS=$work/counters start "$program"
        begin "$load"
        before=$(counters)
        sleep "$seconds"
        after=$(counters)
        finish
        echo "$before $after $per_s" | awk -v s="$seconds" '{n = $15 * s
            printf "  per request: %.2f allocations of %.0f bytes, %.2f copies (%.0f bytes), of them of 4 KiB and more %.2f (%.0f bytes)\n",
                ($8 - $1) / n, ($9 - $2) / n, ($11 - $4) / n, ($12 - $5) / n, ($13 - $6) / n, ($14 - $7) / n}'
        stop
    done
done
