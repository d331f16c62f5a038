"""aiokafka's tour: aiokafka_tour.py BOOTSTRAP"""

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import DeleteGroupsRequest

from tour import CODECS, PARTITIONS, RECORDS, START_MS, all_records, equal, records, step

BOOTSTRAP = sys.argv[1]
TOPIC = f"tour-aiokafka-{os.getpid()}"


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    with step("create topic"):
        topic = NewTopic(TOPIC, PARTITIONS, 1, topic_configs={"retention.ms": "-1"})
        created = await admin.create_topics([topic])
        equal(created.topic_errors[0][1], 0, "error")
        await until_partitions(admin, PARTITIONS)
    for codec in CODECS:
        with step(f"produce, idempotent, {codec}"):
            await produce(codec)
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, check_crcs=True)
    await consumer.start()
    with step("consume from the start"):
        await consume(consumer)
    with step("list offsets"):
        parts = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
        equal(await consumer.beginning_offsets(parts), {p: 0 for p in parts}, "first")
        end = len(CODECS) * RECORDS
        equal(await consumer.end_offsets(parts), {p: end for p in parts}, "last")
    with step("consume from a time"):
        await consume_from_time(consumer)
    await share(admin)
    await administer(admin, consumer)
    await consumer.stop()
    await admin.close()


async def until_partitions(admin, count):
    for _ in range(300):
        (described,) = await admin.describe_topics([TOPIC])
        if len(described["partitions"]) == count:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{count} partitions")


async def produce(codec):
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP,
        compression_type=codec,
        enable_idempotence=True,
        linger_ms=20,
    )
    await producer.start()
    try:
        sent = [
            await producer.send(
                TOPIC,
                r.value,
                r.key,
                partition=p,
                timestamp_ms=r.timestamp,
                headers=r.headers,
            )
            for r in records(codec)
            for p in range(PARTITIONS)
        ]
        await asyncio.wait_for(asyncio.gather(*sent), 30)
    finally:
        await producer.stop()


async def consume(consumer):
    parts = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    consumer.assign(parts)
    await consumer.seek_to_beginning(*parts)
    expected = all_records()
    found = {p: [] for p in parts}
    while sum(map(len, found.values())) < PARTITIONS * len(expected):
        polled = await consumer.getmany(timeout_ms=10_000)
        if not polled:
            raise TimeoutError("no more records")
        for part, messages in polled.items():
            found[part].extend(messages)
    for messages in found.values():
        equal([m.offset for m in messages], list(range(len(expected))), "offsets")
        for message, record in zip(messages, expected):
            equal((message.key, message.value), (record.key, record.value), "key and value")
            equal(list(message.headers), record.headers, "headers")
            equal(message.timestamp, record.timestamp, "timestamp")


async def consume_from_time(consumer):
    part = TopicPartition(TOPIC, 1)
    found = await consumer.offsets_for_times({part: START_MS + 123_456})
    equal(found[part].offset, 124, "the offset of that time")
    consumer.seek(part, found[part].offset)
    first = await asyncio.wait_for(consumer.getone(part), 10)
    equal(first.value, all_records()[124].value, "the record of that time")


async def member(group):
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=BOOTSTRAP,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=10_000,
        heartbeat_interval_ms=500,
    )
    await consumer.start()
    return consumer


async def until_assigned(members, count):
    """Polls until all members have the partitions, each as many as it should."""
    for _ in range(300):
        for one in members:
            await one.getmany(timeout_ms=50)
        shares = [len(one.assignment()) for one in members]
        if sum(shares) == count and all(shares):
            return
    raise TimeoutError(f"{shares} of {count}")


async def share(admin):
    group = f"{TOPIC}-group"
    parts = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    end = len(CODECS) * RECORDS
    first = await member(group)
    with step("group: subscribe and read everything"):
        found = 0
        while found < PARTITIONS * end:
            polled = await first.getmany(timeout_ms=10_000)
            if not polled:
                raise TimeoutError("no more records")
            found += sum(map(len, polled.values()))
        equal(found, PARTITIONS * end, "read")
    with step("group: commit"):
        await first.commit()
        equal([await first.committed(part) for part in parts], [end] * PARTITIONS, "committed")
    second = await member(group)
    with step("group: a second member takes its share"):
        await until_assigned([first, second], PARTITIONS)
    with step("group: the first one leaves"):
        await first.stop()
        await until_assigned([second], PARTITIONS)
        equal([await second.position(part) for part in parts], [end] * PARTITIONS, "goes on at")
    with step("group: describe"):
        (described,) = (await admin.describe_consumer_groups([group]))[0].groups
        equal((described[0], described[2], len(described[5])), (0, "Stable", 1), "described")
        await second.stop()
    with step("group: list and offsets"):
        equal(group in [found[0] for found in await admin.list_consumer_groups()], True, "listed")
        offsets = await admin.list_consumer_group_offsets(group)
        equal({part: found.offset for part, found in offsets.items()}, {p: end for p in parts}, "kept")
    with step("group: delete"):
        # Its admin client has the request, and no method for it.
        coordinator = await admin.find_coordinator(group)
        deleted = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
        equal(deleted.results, [(group, 0)], "deleted")
        equal(group in [found[0] for found in await admin.list_consumer_groups()], False, "listed")


async def administer(admin, consumer):
    async def described(key):
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
        (resource,) = answers[0].resources
        return {entry[0]: entry[1] for entry in resource[4]}[key]

    with step("describe configs"):
        equal(await described("retention.ms"), "-1", "retention.ms")
    with step("alter configs"):
        change = {"max.message.bytes": "54321"}
        resource = ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs=change)
        answers = await admin.alter_configs([resource])
        equal(answers[0].resources[0][0], 0, "error")
        while await described("max.message.bytes") != "54321":
            await asyncio.sleep(0.1)
    with step("add partitions"):
        await admin.create_partitions({TOPIC: NewPartitions(PARTITIONS + 2)})
        await until_partitions(admin, PARTITIONS + 2)
    with step("delete records"):
        part = TopicPartition(TOPIC, 0)
        await admin.delete_records({part: RecordsToDelete(before_offset=7)})
        equal((await consumer.beginning_offsets([part]))[part], 7, "first after the deletion")
    with step("describe cluster"):
        equal(len((await admin.describe_cluster())["brokers"]), 1, "brokers")
    with step("delete topic"):
        await admin.delete_topics([TOPIC])
        while TOPIC in await admin.list_topics():
            await asyncio.sleep(0.1)


asyncio.run(asyncio.wait_for(main(), 120))
