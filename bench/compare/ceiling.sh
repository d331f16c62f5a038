#!/bin/bash
# The ceiling of `corelane bench ceiling` against fio and iperf3, alternating, in one run: ratios of neighbours.
#
#   bench/compare/ceiling.sh target/release/corelane [DIRECTORY]
#
# The same shapes on both sides: sequential direct writes and reads of 1 MiB, four at once, preallocated; fdatasync after
# each write of 4 KiB; one TCP connection over the loopback in blocks of 128 KiB. Ratios are ours / theirs: median (min .. max). Exit code 1 if a
# median is more than WITHIN percent away from 1.
#
# Needs fio and iperf3 (Debian: apt install fio iperf3). Environment (defaults): PAIRS=5 BYTES=1073741824 SECONDS_EACH=3 SYNCS=2000
#   SEND_CORE=0 RECEIVE_CORE=1 WITHIN=10 PORT=21595
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=measure.sh
. "$here/measure.sh"
[ $# -ge 1 ] || { sed -n '2,13p' "$0"; exit 2; }
program=$(realpath "$1") dir=$(realpath "${2:-.}")
pairs=${PAIRS:-5} bytes=${BYTES:-1073741824} seconds=${SECONDS_EACH:-3} syncs=${SYNCS:-2000} port=${PORT:-21595}
send_core=${SEND_CORE:-0} receive_core=${RECEIVE_CORE:-1}
command -v fio > /dev/null || fail "fio is missing: apt install fio"
command -v iperf3 > /dev/null || fail "iperf3 is missing: apt install iperf3"
work=$(mktemp -d "$dir/ceiling-XXXXXX")
trap 'rm -rf "$work"' EXIT

# Prints write and read in GB/s and the median fdatasync in us: as fio has them.
by_fio() {
    local shape=(--directory="$work" --filename=fio --direct=1 --ioengine=libaio --output-format=json --bs=1M --iodepth=4 --size="$bytes")
    fio --name=write --rw=write "${shape[@]}" > "$work/write.json"
    fio --name=read --rw=read "${shape[@]}" > "$work/read.json"
    fio --name=sync --rw=write --directory="$work" --filename=fio --direct=1 --ioengine=psync --bs=4k --fdatasync=1 \
        --overwrite=1 --size=$((syncs * 4096)) --output-format=json > "$work/sync.json"
    awk '/"bw_bytes"/ {gsub(/[^0-9]/, ""); if ($0 > best) best = $0} END {printf "%.4f ", best / 1e9}' "$work/write.json"
    awk '/"bw_bytes"/ {gsub(/[^0-9]/, ""); if ($0 > best) best = $0} END {printf "%.4f ", best / 1e9}' "$work/read.json"
    # Within "sync", the 50th percentile of its latencies, nanoseconds.
    awk '/"sync" *: *\{/ {sync = 1} sync && /"50.000000"/ {gsub(/.*:|[^0-9]/, ""); printf "%.1f\n", $0 / 1e3; exit}' "$work/sync.json"
    rm -f "$work/fio"
}

# Prints GB/s of one connection.
by_iperf() {
    taskset -c "$receive_core" iperf3 -s -1 -B 127.0.0.1 -p "$port" > "$work/server.txt" 2>&1 &
    local server=$!
    sleep 0.5
    taskset -c "$send_core" iperf3 -c 127.0.0.1 -p "$port" -t "$seconds" -l 131072 -J > "$work/iperf.json" || fail "iperf3: $(tail -3 "$work/iperf.json")"
    wait "$server" || true
    awk '/"sum_received"/ {sum = 1} sum && /"bits_per_second"/ {sub(/.*:/, ""); printf "%.4f\n", $0 / 8e9; exit}' "$work/iperf.json"
}

# A figure's median of the JSON that the harness has written.
ours() { # NAME
    awk -v name="\"$1\"" 'index($0, name) {found = 1} found && /"median"/ {sub(/.*:/, ""); print $0 + 0; exit}' "$work/ours.json"
}

echo "kernel $(uname -r), $(nproc) cores, $(date -u +%F); $pairs pairs, $((bytes >> 20)) MiB, $dir"
printf '%-6s %14s %14s %14s %14s\n' '' 'write GB/s' 'read GB/s' 'fdatasync us' 'TCP GB/s'
for ((pair = 1; pair <= pairs; pair++)); do
    "$program" bench ceiling "$work" --bytes "$bytes" --syncs "$syncs" --repeats 1 --duration "${seconds}s" \
        --core "$send_core,$receive_core" --json "$work/ours.json" > /dev/null
    mine="$(ours disk_write_gb_per_s) $(ours disk_read_gb_per_s) $(ours sync_p50_us) $(ours network_gb_per_s)"
    theirs="$(by_fio) $(by_iperf)"
    # shellcheck disable=SC2086
    printf '%-6s %14.3f %14.3f %14.1f %14.3f\n' ours $mine theirs $theirs
    echo "$mine $theirs" >> "$work/pairs"
done
echo
echo "ours / theirs, per pair: median (min .. max)"
status=0 column=1
for what in write read fdatasync TCP; do
    ratio=$(awk -v c=$column '{print $c / $(c + 4)}' "$work/pairs" | median)
    verdict=$(awk -v within="${WITHIN:-10}" '{d = ($1 - 1) * 100; print (d < 0 ? -d : d) <= within ? "" : "  <- more than " within " % apart"}' <<< "$ratio")
    printf '%-10s %s%s\n' "$what" "$ratio" "$verdict"
    [ -z "$verdict" ] || status=1
    column=$((column + 1))
done
exit $status
