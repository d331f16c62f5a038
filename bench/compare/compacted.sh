#!/usr/bin/env bash
# The same keyed history through brokers that compact it: which records are left of it must be what
# the rules say, computed here, on each of them.
#
# usage: compacted.sh PROGRAM...        programs with the command line of `corelane serve`, as
#                                       target/release/corelane bench/compare/kafka.sh
#
# CORELANE  the client (corelane)    RECORDS  of the history (60000)    KEYS  different ones (500)
# WORK      a directory for data (./compacted-work), removed at the end
# PORT      of the brokers, one after the other (21980)    PATIENCE  seconds for a compaction (240)
set -euo pipefail

corelane=${CORELANE:-corelane}
port=${PORT:-21980}
work=${WORK:-./compacted-work}
export CORELANE_BOOTSTRAP=127.0.0.1:$port
[ $# -ge 1 ] || { sed -n '2,11p' "$0"; exit 2; }
[ ! -e "$work" ] || { echo "$work exists" >&2; exit 2; }
mkdir -p "$work"
work=$(cd "$work" && pwd)
broker=
stop() {
    [ -n "$broker" ] || return 0
    kill "$broker" 2>/dev/null || true
    wait "$broker" 2>/dev/null || true
    broker=
}
trap 'stop; rm -rf "$work"' EXIT

# Of a few keys, some often and some once; one in eight is a tombstone; values of all lengths.
awk -v records="${RECORDS:-60000}" -v keys="${KEYS:-500}" 'BEGIN {
    srand(42)
    for (i = 0; i < records; i++) {
        key = rand() < 0.02 ? "once-" i : "key-" int(keys * rand() * rand())
        value = "NULL"
        if (rand() >= 0.125) {
            value = i "-"
            for (n = int(40 * rand()); n > 0; n--) value = value int(1e9 * rand())
        }
        print key "=" value
    }
}' >"$work/history"
# The last record of each key, by offset; then without tombstones.
awk -F= '{ last[$1] = NR - 1; line[NR - 1] = $1 " " $2 }
    END { for (key in last) print last[key], line[last[key]] }' "$work/history" | sort -n >"$work/expected-kept"
grep -v ' NULL$' "$work/expected-kept" >"$work/expected-gone"
total=$(wc -l <"$work/history")
echo "history: $total records, $(wc -l <"$work/expected-kept") of them the last of their keys, $(wc -l <"$work/expected-gone") of these with a value"

# What of the history is there: offset, key, value or NULL.
left_of() {
    "$corelane" consume "$1" --format '%o %S %k %v\n' | awk -v total="$total" '$1 < total { print $1, $3, ($2 < 0 ? "NULL" : $4) }'
}

# Records of other keys, so many that the history's last segment is closed.
filler() {
    awk -v round="$2" 'BEGIN { srand(round); for (i = 0; i < 9000; i++) { value = ""; for (n = 0; n < 45; n++) value = value int(1e9 * rand()); print "filler-" round "-" i "=" value } }' |
        "$corelane" produce "$1" --partition 0 --key-separator = >/dev/null 2>&1
}

send_history() {
    split -n l/20 -d "$work/history" "$work/piece-"
    i=0
    for piece in "$work"/piece-*; do
        codecs=(none gzip snappy lz4 zstd)
        "$corelane" produce "$1" --partition 0 --key-separator = --null-marker NULL --batch-bytes $((1 << (10 + i % 8))) \
            --compression "${codecs[i % 5]}" <"$piece" >/dev/null 2>&1
        i=$((i + 1))
    done
}

create() {
    "$corelane" topic create "$1" --partitions 1 --config cleanup.policy=compact --config min.cleanable.dirty.ratio=0.01 \
        --config segment.bytes=1048576 --config "delete.retention.ms=$2" >/dev/null
}

# Waits until what is left is what is expected.
await() {
    for _ in $(seq $((${PATIENCE:-240} / 3))); do
        left_of "$1" >"$work/left"
        if cmp -s "$work/left" "$work/$2"; then
            echo "  $1: $(wc -l <"$work/left") records are left, the same offsets, keys and values as expected"
            return 0
        fi
        sleep 3
    done
    echo "  $1: DIFFERENT after ${PATIENCE:-240} s:"
    diff "$work/$2" "$work/left" | head -10
    return 1
}

status=0
for program in "$@"; do
    echo "== $program"
    "$program" serve --listen "127.0.0.1:$port" --data-dir "$work/data" --default-partitions 1 >"$work/log" 2>&1 &
    broker=$!
    for _ in $(seq 300); do
        "$corelane" cluster >/dev/null 2>&1 && break
        kill -0 "$broker" 2>/dev/null || { tail "$work/log" >&2; exit 1; }
        sleep 1
    done
    create kept 86400000
    create gone 0
    for topic in kept gone; do
        send_history "$topic"
        filler "$topic" 1
    done
    await kept expected-kept || status=1
    # Tombstones get their horizon with the first compaction, and go with one after it.
    filler gone 2
    sleep 30
    filler gone 3
    await gone expected-gone || status=1
    stop
    rm -rf "$work/data"
done
exit $status
