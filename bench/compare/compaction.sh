#!/usr/bin/env bash
# What compaction costs those who produce and fetch beside it: `bench e2e` on the shard of a large
# compacted topic, in turns while nothing is compacted and while it is. Where fio is installed,
# a process of its own writes 4 KiB to the same disk 200 times a second meanwhile: stalls that it has as well are
# the disk's.
#
# usage: compaction.sh DIR        DIR: an empty directory on the disk that is meant
#
# CORELANE      the broker and client (corelane)
# FILL          time for which the backlog is produced (4s)   CODEC   of its batches (none)
# RECORD_BYTES  of its values (512)                 KEYS       different keys (1000000)
# RATE          records a second of the foreground, of 1 KiB, in batches of 4 KiB (5000)
# ROUNDS        of two runs each (3)                SECONDS_EACH  of a run (8)
# PORT          of the broker (21990)               BROKER_CORE, CLIENT_CORE  (0, 1)
# SETTINGS      more arguments of `corelane serve`
set -euo pipefail

dir=${1:?usage: compaction.sh DIR}
corelane=${CORELANE:-corelane}
port=${PORT:-21990}
export CORELANE_BOOTSTRAP=127.0.0.1:$port
seconds=${SECONDS_EACH:-8}

mkdir -p "$dir"
[ -z "$(ls -A "$dir")" ] || { echo "$dir is not empty" >&2; exit 2; }
broker=
# shellcheck disable=SC2317
clean_up() {
    [ -z "$broker" ] || { kill "$broker" 2>/dev/null && wait "$broker" 2>/dev/null; } || true
    rm -rf "$dir/data" "$dir/control"
}
trap clean_up EXIT

# shellcheck disable=SC2086
taskset -c "${BROKER_CORE:-0}" "$corelane" serve --listen "127.0.0.1:$port" --http-listen "127.0.0.1:$((port + 1))" \
    --data-dir "$dir/data" --shards 1 --set log.cleaner.backoff.ms=100 ${SETTINGS:-} >"$dir/broker.log" 2>&1 &
broker=$!
for _ in $(seq 100); do "$corelane" cluster >/dev/null 2>&1 && break; sleep 0.1; done

metric() {
    curl -s "http://127.0.0.1:$((port + 1))/metrics" |
        awk -v name="$1" '{ split($1, part, "{"); if (part[1] == name) sum += $2 } END { printf "%d\n", sum }'
}

# Not to be compacted yet; a ratio of 0 makes it always worth it.
"$corelane" topic create backlog --partitions 1 --config cleanup.policy=delete --config retention.ms=-1 \
    --config min.cleanable.dirty.ratio=0 --config segment.bytes=134217728 >/dev/null
"$corelane" topic create foreground --partitions 1 >/dev/null
"$corelane" bench produce --bootstrap "$CORELANE_BOOTSTRAP" --topic backlog --core "${CLIENT_CORE:-1}" --duration "${FILL:-4s}" --warmup 0s --yes \
    --record-bytes "${RECORD_BYTES:-512}" --keys "uniform:${KEYS:-1000000}" \
    --compression "${CODEC:-none}" --compressibility 0.5 >"$dir/fill.txt" 2>&1 || { cat "$dir/fill.txt" >&2; exit 1; }
control() { :; }
if command -v fio >/dev/null; then
    direct=(--name=control --filename="$dir/control" --rw=write --direct=1 --ioengine=io_uring --size=64m)
    fio "${direct[@]}" --bs=1m --output=/dev/null
    control() {
        taskset -c "${CLIENT_CORE:-1}" fio "${direct[@]}" --bs=4k --iodepth=32 --rate_iops=200 --time_based --runtime="$seconds" \
            --lat_percentiles=1 --percentile_list=50:99 --output-format=json --output="$1"
    }
fi
sleep 7 # until the backlog is checkpointed and the shard at rest

microseconds() { # FILE LINE: p50, p99 and longest of a line of the result
    awk -v line="$2" '$1 == line { printf "%10s %10s %10s", $2, $4, $7 }' "$1"
}
run() { # NAME
    local read_before control_pid
    read_before=$(metric corelane_compaction_read_bytes_total)
    control "$dir/$1.control.json" & control_pid=$!
    "$corelane" bench e2e --bootstrap "$CORELANE_BOOTSTRAP" --topic foreground --core "${CLIENT_CORE:-1}" --rate "${RATE:-5000}" --record-bytes 1024 \
        --batch-bytes 4KiB --duration "${seconds}s" --warmup 1s --json "$dir/$1.json" >"$dir/$1.txt" 2>&1 || { cat "$dir/$1.txt" >&2; exit 1; }
    wait "$control_pid" || true
    printf '%-10s %s   ' "$1" "$(microseconds "$dir/$1.txt" latency)"
    [ ! -s "$dir/$1.control.json" ] ||
        awk -F'[:,]' '/"write" :/ { inside = 1 } inside && /"lat_ns"/ { lat = 1 } lat && /"max"/ && !max { max = $2 }
            lat && /"50.000000"/ && !p50 { p50 = $2 } lat && /"99.000000"/ && !p99 { p99 = $2 }
            END { printf "%10.1f %10.1f %10.1f", p50 / 1000, p99 / 1000, max / 1000 }' "$dir/$1.control.json"
    echo "   $(( ($(metric corelane_compaction_read_bytes_total) - read_before) / (seconds + 1) / 1000000 ))"
}

echo "us         e2e: p50        p99        max      4 KiB: p50        p99        max   MB/s compaction has read"
for round in $(seq "${ROUNDS:-3}"); do
    run "alone-$round"
    "$corelane" topic alter backlog --config cleanup.policy=compact >/dev/null
    sleep 0.5
    run "beside-$round"
    "$corelane" topic alter backlog --config cleanup.policy=delete >/dev/null
    sleep 0.5
done
ended=$(metric corelane_compactions_total)
[ "$ended" = 0 ] || echo "compaction has ended $ended time(s): a longer FILL is needed" >&2
median() { for file in "$dir/$1"-*.txt; do awk '$1 == "latency" { print $4 }' "$file"; done | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
awk -v alone="$(median alone)" -v beside="$(median beside)" 'BEGIN { printf "median p99: alone %.1f us, beside %.1f us: %.2f times\n", alone, beside, beside / alone }'
