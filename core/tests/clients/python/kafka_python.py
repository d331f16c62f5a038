"""kafka-python's tour: kafka_python.py BOOTSTRAP"""

import os
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from tour import CODECS, PARTITIONS, RECORDS, START_MS, all_records, equal, records, step, until

BOOTSTRAP = sys.argv[1]
TOPIC = f"tour-kafka-python-{os.getpid()}"


def main():
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    with step("create topic"):
        topic = NewTopic(TOPIC, PARTITIONS, 1, topic_configs={"retention.ms": "-1"})
        admin.create_topics([topic], wait_for_metadata=True)
    with step("describe topic"):
        (described,) = admin.describe_topics([TOPIC])
        equal(len(described["partitions"]), PARTITIONS, "partitions")
    for codec in CODECS:
        with step(f"produce, idempotent, {codec}"):
            produce(codec)
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, check_crcs=True)
    with step("consume from the start"):
        consume(consumer)
    with step("list offsets"):
        parts = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
        equal(consumer.beginning_offsets(parts), {p: 0 for p in parts}, "first")
        end = len(CODECS) * RECORDS
        equal(consumer.end_offsets(parts), {p: end for p in parts}, "last")
    with step("consume from a time"):
        consume_from_time(consumer)
    consumer.close()
    share(admin)
    administer(admin)
    admin.close()


def produce(codec):
    producer = KafkaProducer(
        bootstrap_servers=BOOTSTRAP,
        compression_type=codec,
        acks="all",
        enable_idempotence=True,
        linger_ms=20,
        batch_size=8_192,
    )
    sent = [
        producer.send(
            TOPIC, r.value, r.key, headers=r.headers, partition=p, timestamp_ms=r.timestamp
        )
        for r in records(codec)
        for p in range(PARTITIONS)
    ]
    producer.flush(30)
    for future in sent:
        future.get(30)
    producer.close()


def poll(consumer, count):
    """The next `count` records, by partition."""
    found = {p: [] for p in range(PARTITIONS)}
    while sum(map(len, found.values())) < count:
        polled = consumer.poll(timeout_ms=10_000)
        if not polled:
            raise TimeoutError(f"nothing after {sum(map(len, found.values()))} of {count} records")
        for part, messages in polled.items():
            found[part.partition].extend(messages)
    return found


def consume(consumer):
    parts = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    expected = all_records()
    for messages in poll(consumer, PARTITIONS * len(expected)).values():
        equal([m.offset for m in messages], list(range(len(expected))), "offsets")
        for message, record in zip(messages, expected):
            equal((message.key, message.value), (record.key, record.value), "key and value")
            equal(list(message.headers), record.headers, "headers")
            equal(message.timestamp, record.timestamp, "timestamp")


def consume_from_time(consumer):
    part = TopicPartition(TOPIC, 1)
    found = consumer.offsets_for_times({part: START_MS + 123_456})
    equal(found[part].offset, 124, "the offset of that time")
    beyond = consumer.offsets_for_times({part: START_MS + 10**9})
    equal(beyond[part], None, "an offset after the last time")
    consumer.assign([part])
    consumer.seek(part, found[part].offset)
    first = poll(consumer, 1)[1][0]
    equal(first.value, all_records()[124].value, "the record of that time")


def member(group):
    return KafkaConsumer(
        TOPIC,
        bootstrap_servers=BOOTSTRAP,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=10_000,
        heartbeat_interval_ms=500,
    )


def share(admin):
    group = f"{TOPIC}-group"
    parts = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    end = len(CODECS) * RECORDS
    first = member(group)
    with step("group: subscribe and read everything"):
        found = poll(first, PARTITIONS * end)
        equal({p: len(m) for p, m in found.items()}, {p: end for p in range(PARTITIONS)}, "read")
    with step("group: commit"):
        first.commit()
        equal([first.committed(part) for part in parts], [end] * PARTITIONS, "committed")
    second = member(group)
    with step("group: a second member takes its share"):

        def shared():
            for one in (first, second):
                one.poll(timeout_ms=200)
            both = list(first.assignment()) + list(second.assignment())
            return len(second.assignment()) > 0 and sorted(both) == parts

        until("shared", shared)
    with step("group: the first one leaves"):
        first.close()
        until("taken over", lambda: second.poll(timeout_ms=200) or len(second.assignment()) == PARTITIONS)
        second.close()
    with step("group: list and offsets"):
        listed = [found["group_id"] for found in admin.list_groups()]
        equal(group in listed, True, "listed")
        offsets = admin.list_group_offsets(group)[group]
        equal({part: found.offset for part, found in offsets.items()}, {p: end for p in parts}, "kept")
    with step("group: delete"):
        admin.delete_groups([group])
        listed = [found["group_id"] for found in admin.list_groups()]
        equal(group in listed, False, "listed")


def administer(admin):
    def described(key):
        resource = ConfigResource(ConfigResourceType.TOPIC, TOPIC)
        found = admin.describe_configs([resource], config_filter="all")
        return list(found.values())[0][TOPIC][key]["value"]

    with step("describe configs"):
        equal(described("retention.ms"), "-1", "retention.ms")
    with step("alter configs"):
        change = ConfigResource(ConfigResourceType.TOPIC, TOPIC, {"max.message.bytes": "54321"})
        admin.alter_configs([change])
        until("altered", lambda: described("max.message.bytes") == "54321")
    with step("add partitions"):
        admin.create_partitions({TOPIC: PARTITIONS + 2})
        count = lambda: len(admin.describe_topics([TOPIC])[0]["partitions"])
        until("added", lambda: count() == PARTITIONS + 2)
    with step("delete records"):
        part = TopicPartition(TOPIC, 0)
        admin.delete_records({part: 7})
        consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
        equal(consumer.beginning_offsets([part])[part], 7, "first after the deletion")
        consumer.close()
    with step("describe cluster and log dirs"):
        equal(len(admin.describe_cluster()["brokers"]), 1, "brokers")
        admin.describe_log_dirs()
    with step("delete topic"):
        admin.delete_topics([TOPIC])
        until("deleted", lambda: TOPIC not in admin.list_topics())


main()
