#!/bin/bash
# Apache Kafka behind the command line of `corelane serve`, so that the same scripts and tests drive both.
#
#   KAFKA_LIB=/path/to/kafka/jars bench/compare/kafka.sh serve --listen 127.0.0.1:9092 --data-dir DIR
#       [--default-partitions N] [--auto-create-topics true|false] [--max-request-bytes N] [--durability default|strict] [--set KEY=VALUE]...
#
# One node, broker and controller in one process (KRaft). The controller listens on a port of its own: the broker's plus one.
# --durability strict becomes log.flush.interval.messages=1; --shards, --cache-bytes and --http-listen have no counterpart and are passed over.
# KAFKA_HEAP sets the heap (default 1g). Java 17 or later. See docs/measuring.md for the jars.
set -euo pipefail
: "${KAFKA_LIB:?set KAFKA_LIB to the directory of Kafka\'s jars (docs/measuring.md)}"
[ "${1:-}" = serve ] || { echo "usage: kafka.sh serve --listen IP:PORT --data-dir DIR ..." >&2; exit 2; }
shift
listen=127.0.0.1:9092 data_dir= partitions=4 auto_create=true request_bytes=104857600 durability=default settings=
while [ $# -gt 0 ]; do
    case $1 in
        --listen) listen=$2 ;;
        --data-dir) data_dir=$2 ;;
        --default-partitions) partitions=$2 ;;
        --auto-create-topics) auto_create=$2 ;;
        --max-request-bytes) request_bytes=$2 ;;
        --durability) durability=$2 ;;
        --set) settings+=$2$'\n' ;;
        --shards | --cache-bytes | --http-listen) ;;
        *) echo "kafka.sh: unknown option $1" >&2; exit 2 ;;
    esac
    shift 2
done
[ -n "$data_dir" ] || { echo "kafka.sh: --data-dir is missing" >&2; exit 2; }
mkdir -p "$data_dir"
data_dir=$(cd "$data_dir" && pwd)
controller="${listen%:*}:$((${listen##*:} + 1))"
properties=$data_dir/server.properties
cat > "$properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://$listen,CONTROLLER://$controller
advertised.listeners=PLAINTEXT://$listen,CONTROLLER://$controller
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$data_dir/logs
num.partitions=$partitions
auto.create.topics.enable=$auto_create
socket.request.max.bytes=$request_bytes
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
PROPERTIES
printf %s "$settings" >> "$properties"
[ "$durability" = strict ] && echo log.flush.interval.messages=1 >> "$properties"
if [ ! -e "$data_dir/logs/meta.properties" ]; then
    # As StorageTool's random-uuid makes it, which is a JVM's start of its own.
    id=A$(head -c 15 /dev/urandom | base64 -w 0 | tr '+/' '-_')A
    java -cp "$KAFKA_LIB/*" kafka.tools.StorageTool format -t "$id" -c "$properties" --standalone > /dev/null
fi
exec java -Xms"${KAFKA_HEAP:-1g}" -Xmx"${KAFKA_HEAP:-1g}" -XX:+UseG1GC -cp "$KAFKA_LIB/*" kafka.Kafka "$properties"
