// The tour of Java's own client library, of whatever version is on the class path:
//
//   java -cp 'kafka-clients-4.4.0.jar:...' core/tests/clients/java/ClientTour.java 127.0.0.1:9092

import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

public class ClientTour {
    static void step(String what, boolean holds) {
        System.out.println((holds ? "ok   " : "FAIL ") + what);
        if (!holds) System.exit(1);
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> at = Map.of("bootstrap.servers", args[0]);
        String topic = "client-tour-" + ProcessHandle.current().pid();
        TopicPartition zero = new TopicPartition(topic, 0);
        try (Admin admin = Admin.create(at)) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            step("create topic", admin.listTopics().names().get().contains(topic));
            step("describe cluster", admin.describeCluster().nodes().get().size() == 1);
            long began = System.currentTimeMillis();
            int sent = produce(at, topic);
            step("produce with every compression, idempotent", sent == 500);
            step("consume from the start", consume(at, zero, sent));
            long end = offset(admin, zero, OffsetSpec.latest());
            step("list offsets", offset(admin, zero, OffsetSpec.earliest()) == 0 && end == sent);
            step("offset by time", offset(admin, zero, OffsetSpec.forTimestamp(began - 1_000)) == 0);
            step("offset of the newest", offset(admin, zero, OffsetSpec.maxTimestamp()) >= 0);
            share(admin, at, topic, end);
            configs(admin, topic);
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
            var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            step("add partitions", described.partitions().size() == 3);
            var before = Map.of(zero, RecordsToDelete.beforeOffset(100));
            step("delete records", admin.deleteRecords(before).lowWatermarks().get(zero).get().lowWatermark() == 100);
            var dirs = admin.describeLogDirs(List.of(described.partitions().get(0).leader().id())).allDescriptions().get();
            step("describe log dirs", dirs.values().stream().anyMatch(d -> d.values().stream().anyMatch(i -> i.replicaInfos().containsKey(zero))));
            admin.deleteTopics(List.of(topic)).all().get();
            step("delete topic", !admin.listTopics().names().get().contains(topic));
        }
    }

    static int produce(Map<String, Object> at, String topic) throws Exception {
        int sent = 0;
        for (String compression : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Map<String, Object> config = new HashMap<>(at);
            config.put("compression.type", compression);
            try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
                for (int i = 0; i < 100; i++) {
                    producer.send(new ProducerRecord<>(topic, "key " + sent, "value " + sent++));
                }
            }
        }
        return sent;
    }

    static boolean consume(Map<String, Object> at, TopicPartition from, int count) {
        try (var consumer = new KafkaConsumer<>(at, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(from));
            consumer.seekToBeginning(List.of(from));
            int next = 0;
            long deadline = System.currentTimeMillis() + 30_000;
            while (next < count && System.currentTimeMillis() < deadline) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    if (record.offset() != next || !record.value().equals("value " + next)) return false;
                    next++;
                }
            }
            return next == count;
        }
    }

    static long offset(Admin admin, TopicPartition partition, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    /** A member with Java's newest assignor of the classic protocol. */
    static KafkaConsumer<String, String> member(Map<String, Object> at, String group, String topic) {
        Map<String, Object> config = new HashMap<>(at);
        config.putAll(Map.of("group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", "false",
            "session.timeout.ms", "10000", "heartbeat.interval.ms", "500"));
        config.put("partition.assignment.strategy", CooperativeStickyAssignor.class.getName());
        var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    interface Condition { boolean holds() throws Exception; }

    static boolean within30s(Condition condition) throws Exception {
        long deadline = System.currentTimeMillis() + 30_000;
        while (!condition.holds()) {
            if (System.currentTimeMillis() > deadline) return false;
        }
        return true;
    }

    static void share(Admin admin, Map<String, Object> at, String topic, long end) throws Exception {
        String group = topic + "-group", second = topic + "-2";
        admin.createTopics(List.of(new NewTopic(second, 1, (short) 1))).all().get();
        var zero = new TopicPartition(topic, 0);
        var first = member(at, group, topic);
        long[] read = {0};
        step("group: subscribe and read everything", within30s(() -> {
            read[0] += first.poll(Duration.ofMillis(200)).count();
            return read[0] == end;
        }));
        first.commitSync();
        step("group: commit", first.committed(Set.of(zero)).get(zero).offset() == end);
        first.subscribe(List.of(topic, second));
        var other = member(at, group, topic);
        other.subscribe(List.of(topic, second));
        step("group: a second member takes its share", within30s(() -> {
            first.poll(Duration.ofMillis(100));
            other.poll(Duration.ofMillis(100));
            return first.assignment().size() == 1 && other.assignment().size() == 1;
        }));
        first.close();
        step("group: the first one leaves", within30s(() -> {
            other.poll(Duration.ofMillis(100));
            return other.assignment().size() == 2;
        }));
        step("group: goes on where the other one was", other.position(zero) == end);
        var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        step("group: describe", described.members().size() == 1 && described.partitionAssignor().equals("cooperative-sticky"));
        other.close();
        step("group: list", admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)));
        admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(7, "by hand"))).all().get();
        var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        step("group: reset offsets", offsets.get(zero).equals(new OffsetAndMetadata(7, "by hand")));
        admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all().get();
        step("group: delete offsets", admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(zero) == null);
        admin.deleteConsumerGroups(List.of(group)).all().get();
        step("group: delete", admin.listGroups().all().get().stream().noneMatch(g -> g.groupId().equals(group)));
        admin.deleteTopics(List.of(second)).all().get();
    }

    static void configs(Admin admin, String topic) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var op = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(op))).all().get();
        var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        step("alter and describe configs", config.get("retention.ms").value().equals("7200000"));
    }
}
