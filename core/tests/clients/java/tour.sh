#!/bin/bash
# The tour of Apache Kafka's own tools: KAFKA_LIB=/path/to/jars tour.sh BOOTSTRAP
# One line a step; the first that fails ends it. Each tool is a JVM of its own: a minute or two in all.
set -uo pipefail
: "${KAFKA_LIB:?set KAFKA_LIB to the directory of Kafka\'s jars (docs/measuring.md)}"
bootstrap=$1
topic=tour-java-$$
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/log4j2.properties" <<'PROPERTIES'
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c{1}: %m%n
PROPERTIES

tool() { # tool CLASS ARGUMENT...; seconds on an idle machine, minutes on a crowded one
    timeout "${TOOL_LIMIT_S:-300}" java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -Dlog4j2.configurationFile="$work/log4j2.properties" -cp "$KAFKA_LIB/*" "$@"
}
topics() { tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" "$@"; }
configs() { tool kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" "$@"; }
offsets() { tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic "$topic" --time "$1"; }
consume() { # consume PARTITION OFFSET COUNT
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic" \
        --partition "$1" --offset "$2" --max-messages "$3" --timeout-ms 120000 \
        --formatter-property print.key=true --formatter-property print.headers=true
}

step() { # step NAME PATTERN COMMAND...: it must succeed, and print a line with the pattern if there is one
    local name=$1 pattern=$2
    shift 2
    if "$@" > "$work/out" 2>&1 && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$work/out"; }; then
        echo "ok   $name"
        return
    fi
    echo "FAIL $name: no line with '$pattern' in:"
    tail -20 "$work/out"
    exit 1
}

seq 1 300 | sed 's/.*/h:&\tkey-&\tvalue-&/' > "$work/sent"
cat "$work/sent" > "$work/in"
produce() { # produce CODEC: 300 records with a header and a key, to whatever partition the key hashes to
    tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$bootstrap" --topic "$topic" \
        --compression-codec "$1" --reader-property parse.key=true --reader-property parse.headers=true \
        < "$work/in" && echo produced
}
read_back() { # every record of every codec, in the order of its partition
    offsets latest > "$work/ends" || return 1
    : > "$work/read"
    while IFS=: read -r _ partition end; do
        consume "$partition" earliest "$end" >> "$work/read" 2> "$work/err" || { cat "$work/err"; return 1; }
    done < "$work/ends"
    for _ in none gzip snappy lz4 zstd; do cat "$work/sent"; done | sort > "$work/expected"
    sort "$work/read" | diff - "$work/expected" && echo same
}

step "kafka-topics --create" "Created topic $topic" topics --create --topic "$topic" --partitions 3 --config retention.ms=-1
step "kafka-topics --describe" "PartitionCount: 3.*retention.ms=-1" topics --describe --topic "$topic"
step "kafka-topics --list" "^$topic$" topics --list
for codec in none gzip snappy lz4 zstd; do
    step "console producer, idempotent, $codec" produced produce "$codec"
done
step "kafka-get-offsets, earliest" "^$topic:0:0$" offsets earliest
step "kafka-get-offsets, the highest timestamp" "^$topic:0:[0-9]+$" offsets max-timestamp
step "kafka-get-offsets, by time" "^$topic:0:0$" offsets 1000
step "console consumer, by partition" same read_back
group=$topic-group
groups() { tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$bootstrap" "$@"; }
subscribe() { # every record of every codec, as the only member of the group
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic" --group "$group" \
        --from-beginning --max-messages 1500 --timeout-ms 120000 \
        --formatter-property print.key=true --formatter-property print.headers=true > "$work/read" 2> "$work/err" \
        || { cat "$work/err"; return 1; }
    sort "$work/read" | diff - "$work/expected" && echo same
}
kept() { # the offsets as the topic of groups has them, read by Kafka's own formatter; its end is that nothing more comes
    local timeout_ms
    for timeout_ms in 5000 60000; do
        tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic __consumer_offsets \
            --from-beginning --timeout-ms "$timeout_ms" --formatter org.apache.kafka.tools.consumer.OffsetsMessageFormatter \
            > "$work/kept" 2> "$work/err"
        grep -q "\"group\":\"$group\"" "$work/kept" && break
    done
    cat "$work/kept"
    grep -q TimeoutException "$work/err"
}
step "console consumer, in a group" same subscribe
step "kafka-consumer-groups --list" "^$group$" groups --list
step "kafka-consumer-groups --describe" "^$group +$topic +0 +[0-9]+ +[0-9]+ +0 " groups --describe --group "$group"
step "kafka-consumer-groups --describe --state" "^$group .* Empty " groups --describe --group "$group" --state
step "kafka-consumer-groups --reset-offsets" "^$group +$topic +0 +7 *$" \
    groups --reset-offsets --group "$group" --topic "$topic:0" --to-offset 7 --execute
step "kafka-consumer-groups --describe, after" "^$group +$topic +0 +7 +[0-9]+ +[0-9]+ " groups --describe --group "$group"
consumed() { # as subscribe, in a group of the consumer protocol
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic" \
        --group "$group-consumer" --command-property group.protocol=consumer \
        --from-beginning --max-messages 1500 --timeout-ms 120000 \
        --formatter-property print.key=true --formatter-property print.headers=true > "$work/read" 2> "$work/err" \
        || { cat "$work/err"; return 1; }
    sort "$work/read" | diff - "$work/expected" && echo same
}
step "console consumer, in a group of the consumer protocol" same consumed
step "kafka-consumer-groups --describe --state, of that" "^$group-consumer .*uniform +Empty " \
    groups --describe --group "$group-consumer" --state
step "kafka-consumer-groups --delete, of that" "was successful" groups --delete --group "$group-consumer"
step "console consumer, __consumer_offsets" "\"group\":\"$group\"" kept
step "kafka-consumer-groups --delete-offsets" "^$topic +0 +Successful" \
    groups --delete-offsets --group "$group" --topic "$topic:0"
step "kafka-consumer-groups --delete" "was successful" groups --delete --group "$group"
step "kafka-configs --describe --all" "retention.ms=-1 .*DYNAMIC_TOPIC_CONFIG:retention.ms=-1" \
    configs --describe --all --entity-type topics --entity-name "$topic"
step "kafka-configs --alter" "Completed updating config" \
    configs --alter --entity-type topics --entity-name "$topic" --add-config max.message.bytes=54321 --delete-config retention.ms
step "kafka-configs --describe" "max.message.bytes=54321" configs --describe --entity-type topics --entity-name "$topic"
step "kafka-configs --describe, broker" "num.partitions=" configs --describe --all --entity-type brokers --entity-name 1
step "kafka-topics --alter --partitions" "" topics --alter --topic "$topic" --partitions 5
step "kafka-topics --describe, after" "PartitionCount: 5.*max.message.bytes=54321" topics --describe --topic "$topic"
printf '{"version":1,"partitions":[{"topic":"%s","partition":0,"offset":7}]}' "$topic" > "$work/delete.json"
step "kafka-delete-records" "low_watermark: 7" \
    tool org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "$bootstrap" --offset-json-file "$work/delete.json"
step "kafka-get-offsets, after" "^$topic:0:7$" offsets earliest
step "kafka-log-dirs" "\"partition\":\"$topic-0\"" \
    tool org.apache.kafka.tools.LogDirsCommand --bootstrap-server "$bootstrap" --describe --topic-list "$topic"
step "kafka-cluster cluster-id" "Cluster ID: " tool org.apache.kafka.tools.ClusterTool cluster-id --bootstrap-server "$bootstrap"
step "kafka-broker-api-versions" "Produce\(0\)" tool org.apache.kafka.tools.BrokerApiVersionsCommand --bootstrap-server "$bootstrap"
step "kafka-producer-perf-test" "^20000 records sent" \
    tool org.apache.kafka.tools.ProducerPerformance --topic "$topic" --num-records 20000 --record-size 200 \
    --throughput -1 --producer-props "bootstrap.servers=$bootstrap" compression.type=lz4
# It makes this topic, and leaves it behind.
step "kafka-topics --delete --if-exists" "" topics --delete --if-exists --topic newtopic
step "client-compatibility-test" "^SUCCESS" \
    tool org.apache.kafka.tools.ClientCompatibilityTest --bootstrap-server "$bootstrap" --topic "$topic-compatibility" \
    --offsets-for-times-supported true --cluster-id-supported true --expect-record-too-large-exception false \
    --num-cluster-nodes 1 --create-topics-supported true --describe-acls-supported true \
    --describe-configs-supported true --idempotent-producer-supported true
step "kafka-topics --delete" "" topics --delete --topic "$topic"
step "Java's client library" "^ok   delete topic" java -cp "$KAFKA_LIB/*" "$(dirname "$0")/ClientTour.java" "$bootstrap"
step "Java's client library, groups of the consumer protocol" "^ok   delete topics" \
    java -cp "$KAFKA_LIB/*" "$(dirname "$0")/ConsumerGroupTour.java" "$bootstrap"
