#!/bin/bash
# A real file through the broker and back: a tar of a directory, cut into pieces of 512 KiB, produced and consumed by kcat.
#
#   bench/compare/real_file.sh target/release/corelane [DIRECTORY]
#
# DIRECTORY: what to pack (default: cargo's registry). If its tar is below BYTES, it is repeated until it is not. The
# file goes with acks=all and idempotence, once for each codec; the broker is restarted before the reading; SHA-256 of
# what went in and what came out must be equal.
#
# Environment (defaults): BYTES=1073741824 CODECS="none zstd" WORK=./real-file-work PORT=19192 SHARDS=2
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -ge 1 ] || { sed -n '2,11p' "$0"; exit 2; }
program=$(realpath "$1") port=${PORT:-19192} bytes=${BYTES:-1073741824} shards=${SHARDS:-2}
directory=$(realpath "${2:-${CARGO_HOME:-$HOME/.cargo}/registry}")
all_cores=0-$(($(nproc) - 1))
work=$(realpath -m "${WORK:-./real-file-work}")
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work/pieces"
trap 'stop_broker; rm -rf "$work"' EXIT

tar -C "$directory" -cf "$work/tar" .
while [ "$(stat -c %s "$work/tar")" -lt "$bytes" ]; do
    cp "$work/tar" "$work/once"
    cat "$work/once" >> "$work/tar"
    rm "$work/once"
done
expected=$(sha256sum < "$work/tar")
size=$(stat -c %s "$work/tar")
split -b 524288 -a 6 "$work/tar" "$work/pieces/"
rm "$work/tar"
pieces=$(find "$work/pieces" -type f | wc -l)
echo "$size bytes in $pieces pieces, sha256 ${expected%% *}"

for codec in ${CODECS:-none zstd}; do
    start_broker "$program" "$all_cores" "$port" "$work/data" --shards "$shards" --default-partitions 1
    topic=file-$codec
    begin=$(date +%s%N)
    # Sorted names, in lots that fit a command line; each kcat ends only when all of its lot is acknowledged.
    find "$work/pieces" -type f | sort | xargs -n 2000 kcat -P -b 127.0.0.1:"$port" -t "$topic" -p 0 -z "$codec" \
        -X enable.idempotence=true -X acks=all -X message.max.bytes=1000000
    produced_ms=$((($(date +%s%N) - begin) / 1000000))
    stop_broker
    start_broker "$program" "$all_cores" "$port" "$work/data" --shards "$shards" --default-partitions 1
    begin=$(date +%s%N)
    # No delimiter between the pieces: -D ''.
    found=$(kcat -C -q -e -o beginning -b 127.0.0.1:"$port" -t "$topic" -p 0 -D '' | sha256sum)
    consumed_ms=$((($(date +%s%N) - begin) / 1000000))
    count=$(records_in "$port" "$topic" 1)
    stop_broker
    [ "$count" -eq "$pieces" ] || fail "$codec: $count records for $pieces pieces"
    [ "$found" = "$expected" ] || fail "$codec: sha256 ${found%% *} came back"
    echo "$codec: the same came back (produced in $produced_ms ms, consumed and hashed in $consumed_ms ms)"
done
