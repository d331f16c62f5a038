#!/usr/bin/env bash
# What compaction costs those who produce and fetch beside it: `bench e2e` on the shard of a large
# compacted topic, first while nothing is compacted, then while it is.
#
# usage: compaction.sh DIR        DIR: an empty directory on the disk that is meant
#
# CORELANE      the broker and client (corelane)
# FILL          time for which the backlog is produced (4s)   CODEC   of its batches (none)
# RECORD_BYTES  of its values (512)                 KEYS       different keys (1000000)
# RATE          records a second of the foreground, of 1 KiB, in batches of 4 KiB (5000)
# SECONDS_EACH  of each of the two runs (12)        PORT       of the broker (21990)
# BROKER_CORE, CLIENT_CORE  (0, 1)
set -euo pipefail

dir=${1:?usage: compaction.sh DIR}
corelane=${CORELANE:-corelane}
port=${PORT:-21990}
export CORELANE_BOOTSTRAP=127.0.0.1:$port
seconds=${SECONDS_EACH:-12}

mkdir -p "$dir"
[ -z "$(ls -A "$dir")" ] || { echo "$dir is not empty" >&2; exit 2; }
broker=
# shellcheck disable=SC2317
clean_up() {
    [ -z "$broker" ] || { kill "$broker" 2>/dev/null && wait "$broker" 2>/dev/null; } || true
    rm -rf "$dir/data"
}
trap clean_up EXIT

taskset -c "${BROKER_CORE:-0}" "$corelane" serve --listen "127.0.0.1:$port" --http-listen "127.0.0.1:$((port + 1))" \
    --data-dir "$dir/data" --shards 1 --set log.cleaner.backoff.ms=100 2>"$dir/broker.log" &
broker=$!
for _ in $(seq 100); do "$corelane" cluster >/dev/null 2>&1 && break; sleep 0.1; done

metric() {
    curl -s "http://127.0.0.1:$((port + 1))/metrics" |
        awk -v name="$1" '{ split($1, part, "{"); if (part[1] == name) sum += $2 } END { printf "%d\n", sum }'
}

# A ratio of 1 is never exceeded: the backlog stays until it is lowered.
"$corelane" topic create backlog --partitions 1 --config cleanup.policy=compact --config min.cleanable.dirty.ratio=1 \
    --config segment.bytes=134217728 >/dev/null
"$corelane" topic create foreground --partitions 1 >/dev/null
"$corelane" bench produce --bootstrap "$CORELANE_BOOTSTRAP" --topic backlog --core "${CLIENT_CORE:-1}" --duration "${FILL:-4s}" --warmup 0s --yes \
    --record-bytes "${RECORD_BYTES:-512}" --keys "uniform:${KEYS:-1000000}" \
    --compression "${CODEC:-none}" --compressibility 0.5 >"$dir/fill.txt" 2>&1 || { cat "$dir/fill.txt" >&2; exit 1; }
sleep 7 # until the backlog is checkpointed and the shard at rest

foreground() {
    "$corelane" bench e2e --bootstrap "$CORELANE_BOOTSTRAP" --topic foreground --core "${CLIENT_CORE:-1}" --rate "${RATE:-5000}" --record-bytes 1024 \
        --batch-bytes 4KiB --duration "${seconds}s" --warmup 2s --json "$dir/$1.json"
}

echo "== alone"; foreground alone
read_before=$(metric corelane_compaction_read_bytes_total)
"$corelane" topic alter backlog --config min.cleanable.dirty.ratio=0 >/dev/null
sleep 1
echo "== beside compaction"; foreground beside
read_after=$(metric corelane_compaction_read_bytes_total)
ended=$(metric corelane_compactions_total)
echo "compaction read $(( (read_after - read_before) >> 20 )) MiB meanwhile, and has ended $ended time(s)"
[ "$ended" = 0 ] || echo "it ended too early: a longer FILL is needed" >&2
