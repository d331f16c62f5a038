# Functions of the scripts beside it (source it): brokers, pinning, CPU time, ratios. See docs/measuring.md.
# shellcheck shell=bash

CLOCK_TICKS=$(getconf CLK_TCK)

fail() { echo "$0: $*" >&2; exit 1; }

# start_broker PROGRAM CORES PORT DATA_DIR [OPTION...]: starts `PROGRAM serve` pinned to CORES and waits until it serves.
# Sets BROKER_PID and START_MS.
start_broker() {
    local program=$1 cores=$2 port=$3 data_dir=$4
    shift 4
    start_and_wait "$cores" "$port" "$data_dir" "$program" serve --listen "127.0.0.1:$port" --data-dir "$data_dir" "$@"
}

# start_null PROGRAM CORES PORT DATA_DIR [OPTION...]: the same of `PROGRAM bench null-broker`.
start_null() {
    local program=$1 cores=$2 port=$3 data_dir=$4
    shift 4
    start_and_wait "$cores" "$port" "$data_dir" "$program" bench null-broker --listen "127.0.0.1:$port" "$@"
}

start_and_wait() { # CORES PORT DATA_DIR COMMAND...
    local cores=$1 port=$2 data_dir=$3 begin
    shift 3
    mkdir -p "$data_dir"
    begin=$(date +%s%N)
    taskset -c "$cores" "$@" >> "$data_dir.log" 2>&1 &
    BROKER_PID=$!
    until serves "$port"; do
        kill -0 "$BROKER_PID" 2> /dev/null || fail "the broker ended: $(tail -5 "$data_dir.log")"
        [ $((($(date +%s%N) - begin) / 1000000000)) -lt 600 ] || fail "the broker does not serve after 600 s"
        sleep 0.002
    done
    START_MS=$((($(date +%s%N) - begin) / 1000000))
}

# True if the broker on PORT answers ApiVersions v0 (a frame of 10 bytes; the answer begins with its length).
serves() {
    local answer
    exec 9<> "/dev/tcp/127.0.0.1/$1" || return 1
    printf '\0\0\0\012\0\022\0\0\0\0\0\1\377\377' >&9
    answer=$(head -c 4 <&9 | wc -c)
    exec 9>&-
    [ "$answer" = 4 ]
} 2> /dev/null

stop_broker() {
    [ -n "${BROKER_PID:-}" ] || return 0
    kill -TERM "$BROKER_PID" 2> /dev/null || true
    wait "$BROKER_PID" 2> /dev/null || true
    BROKER_PID=
}

kill_broker() {
    kill -KILL "$BROKER_PID"
    wait "$BROKER_PID" 2> /dev/null || true
    BROKER_PID=
}

# CPU time of a process in ticks: utime + stime (fields 14 and 15 of /proc/PID/stat).
process_ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; }

# CPU time of the whole machine in ticks, everything but idle and I/O wait (with interrupts, softirqs, kernel threads).
machine_ticks() { awk '/^cpu /{print $2 + $3 + $4 + $7 + $8}' /proc/stat; }

# CPU time of this shell's finished children in ticks (cutime + cstime): a client's, when it was waited for alone.
children_ticks() { sed 's/.*) //' "/proc/$$/stat" | awk '{print $14 + $15}'; }

resident_mib() { awk '/^VmRSS/{printf "%.1f", $2 / 1024}' "/proc/$1/status"; }

# Bytes that a process has read from disks (/proc/PID/io).
read_bytes() { awk '/^read_bytes/{print $2}' "/proc/$1/io"; }

# Reads numbers, prints "median (min .. max)".
median() {
    sort -g | awk '{v[NR] = $1} END {
        if (NR == 0) { print "nothing measured"; exit }
        m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
        printf "%.3f (%.3f .. %.3f)\n", m, v[1], v[NR] }'
}

# Bytes that the block device under a directory has read since boot (field 3 of its stat, sectors of 512 bytes).
device_read_bytes() {
    local device
    device=$(stat -c %Hd:%Ld "$1")
    awk '{printf "%.0f\n", $3 * 512}' "/sys/dev/block/$device/stat"
}

# Sum of the high watermarks of TOPIC with PARTITIONS on PORT.
records_in() { # PORT TOPIC PARTITIONS
    local partition queries=()
    for ((partition = 0; partition < $3; partition++)); do queries+=(-t "$2:$partition:-1"); done
    kcat -Q -b 127.0.0.1:"$1" "${queries[@]}" | awk '{sum += $NF} END {print sum + 0}'
}

# Partitions of TOPIC that hold at least one record.
partitions_with_data() { # PORT TOPIC PARTITIONS
    local partition queries=()
    for ((partition = 0; partition < $3; partition++)); do queries+=(-t "$2:$partition:-1"); done
    kcat -Q -b 127.0.0.1:"$1" "${queries[@]}" | awk '$NF > 0 {n++} END {print n + 0}'
}

# fill_topic BENCH PORT CLIENT_CORE TOPIC BYTES: as fast as the broker takes it, in steps of a second.
fill_topic() {
    local left=$5 told
    while [ "$left" -gt 0 ]; do
        told=$("$1" bench produce --bootstrap "127.0.0.1:$2" --core "$3" --topic "$4" --record-bytes 1024 --batch-bytes 64KiB --pool-bytes 16MiB \
            --warmup 0s --duration 1s --yes 2>&1) || fail "$told"
        left=$((left - $(awk '$1 == "bytes" {print $2}' <<< "$told") * 1000000))
    done
}
