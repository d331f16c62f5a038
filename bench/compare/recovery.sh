#!/bin/bash
# Recovery after kill -9: seconds and bytes read, against what the disk reads with direct I/O.
#
#   bench/compare/recovery.sh target/release/corelane
#
# Fills a topic with GIB of data by kcat, kills the broker under load, drops the page cache (as root), restarts it,
# counts that nothing acknowledged is missing, and reads the data directory once with O_DIRECT for comparison.
#
# Environment (defaults): GIB=20 PARTITIONS=8 WORK=./recovery-work PORT=19192 SHARDS=2
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -eq 1 ] || { sed -n '2,10p' "$0"; exit 2; }
program=$(realpath "$1") port=${PORT:-19192} gib=${GIB:-20} partitions=${PARTITIONS:-8} shards=${SHARDS:-2}
all_cores=0-$(($(nproc) - 1))
work=$(realpath -m "${WORK:-./recovery-work}")
[ ! -e "$work" ] || fail "$work exists; remove it, or set WORK"
mkdir -p "$work/pieces"
trap 'stop_broker; rm -rf "$work"' EXIT
options=(--shards "$shards" --default-partitions "$partitions")

# 256 pieces of 512 KiB that do not compress: one kcat sends 128 MiB, so eight of them make a GiB.
head -c $((128 << 20)) /dev/urandom | split -b 524288 -a 4 - "$work/pieces/"
fill() { kcat -P -b 127.0.0.1:"$port" -t fill -X acks=all -X message.max.bytes=1000000 "$work"/pieces/*; }

start_broker "$program" "$all_cores" "$port" "$work/data" "${options[@]}"
echo "start on an empty directory: $START_MS ms"
begin=$(date +%s%N)
for ((round = 0; round < gib * 8; round++)); do fill; done
took_ms=$((($(date +%s%N) - begin) / 1000000))
records=$(records_in "$port" fill "$partitions")
[ "$records" -eq $((gib * 8 * 256)) ] || fail "$records records after filling, expected $((gib * 8 * 256))"
echo "filled: $gib GiB in $((took_ms / 1000)) s, $records records of 512 KiB, $partitions partitions"
fill > /dev/null 2>&1 &
loader=$!
sleep 0.3
kill_broker
kill "$loader" 2> /dev/null || true
wait "$loader" 2> /dev/null || true
sync
if [ -w /proc/sys/vm/drop_caches ]; then echo 3 > /proc/sys/vm/drop_caches; else echo "not root: the page cache is warm"; fi

device_0=$(device_read_bytes "$work")
start_broker "$program" "$all_cores" "$port" "$work/data" "${options[@]}"
device_1=$(device_read_bytes "$work")
awk -v ms="$START_MS" -v process="$(read_bytes "$BROKER_PID")" -v device=$((device_1 - device_0)) 'BEGIN {
    printf "restart after kill -9: %.3f s, %.1f MiB read by the process, %.1f MiB by the device\n",
        ms / 1e3, process / 1048576, device / 1048576}'
kept=$(records_in "$port" fill "$partitions")
[ "$kept" -ge "$records" ] || fail "$records records were acknowledged, $kept are there"
echo "kept: $kept records, $((kept - records)) of them from the moment of the kill"
stop_broker
start_broker "$program" "$all_cores" "$port" "$work/data" "${options[@]}"
echo "restart after a clean stop: $START_MS ms"
stop_broker

sync
[ ! -w /proc/sys/vm/drop_caches ] || echo 3 > /proc/sys/vm/drop_caches
begin=$(date +%s%N)
direct=0
while read -r file; do
    [ $direct -lt $((8 << 30)) ] || break
    # The last block of a file may not be a whole one: dd then says so, and has read all of it.
    dd if="$file" of=/dev/null bs=4M iflag=direct 2> /dev/null || true
    direct=$((direct + $(stat -c %s "$file")))
done < <(find "$work/data" -name '*.log' -size +1M)
awk -v bytes="$direct" -v ns=$(($(date +%s%N) - begin)) 'BEGIN {
    printf "the disk, O_DIRECT, 4 MiB reads, one at a time: %.0f MB/s (%.1f GiB read)\n", bytes / 1e6 / (ns / 1e9), bytes / 2^30}'
