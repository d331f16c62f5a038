// The tour of groups of the consumer protocol (KIP-848) with Java's own client library:
//
//   java -cp 'kafka-clients-4.3.1.jar:...' core/tests/clients/java/ConsumerGroupTour.java 127.0.0.1:9092

import java.time.Duration;
import java.util.*;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.serialization.*;

public class ConsumerGroupTour {
    static Map<String, Object> at;
    static String prefix = "group-tour-" + ProcessHandle.current().pid();

    static void step(String what, boolean holds) {
        System.out.println((holds ? "ok   " : "FAIL ") + what);
        if (!holds) System.exit(1);
    }

    static KafkaConsumer<String, String> member(String group, String protocol, String... more) {
        Map<String, Object> config = new HashMap<>(at);
        config.put("group.id", group);
        config.put("group.protocol", protocol);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        for (int i = 0; i < more.length; i += 2) config.put(more[i], more[i + 1]);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    /** Polls all of them until it holds; counts how often each record was read. */
    static boolean until(List<KafkaConsumer<String, String>> members, Map<String, Integer> read, BooleanSupplier holds) {
        long deadline = System.currentTimeMillis() + 90_000;
        while (!holds.getAsBoolean()) {
            if (System.currentTimeMillis() > deadline) return false;
            for (var member : members) {
                for (var record : member.poll(Duration.ofMillis(50))) {
                    read.merge(record.topic() + "-" + record.partition() + "@" + record.offset(), 1, Integer::sum);
                }
            }
        }
        return true;
    }

    static void produce(String topic, int partitions, int each) throws Exception {
        try (var producer = new KafkaProducer<>(at, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < each * partitions; i++) {
                producer.send(new ProducerRecord<>(topic, i % partitions, "key", "value " + i));
            }
        }
    }

    public static void main(String[] args) throws Exception {
        at = Map.of("bootstrap.servers", args[0]);
        String topic = prefix + "-a";
        try (Admin admin = Admin.create(at)) {
            admin.createTopics(List.of(new NewTopic(topic, 4, (short) 1))).all().get();
            produce(topic, 4, 100);
            sharing(admin, topic);
            patterns(admin);
            statics(admin, topic);
            migration(admin, topic);
            admin.deleteTopics(List.of(topic, prefix + "-b")).all().get();
            step("delete topics", true);
        }
    }

    static ConsumerGroupDescription describe(Admin admin, String group) {
        try {
            return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static void sharing(Admin admin, String topic) throws Exception {
        String group = prefix + "-sharing";
        Map<String, Integer> read = new HashMap<>();
        var first = member(group, "consumer");
        var second = member(group, "consumer");
        first.subscribe(List.of(topic));
        step("one member has everything", until(List.of(first), read, () -> first.assignment().size() == 4));
        step("and reads it", until(List.of(first), read, () -> read.size() == 400));
        first.commitSync();
        second.subscribe(List.of(topic));
        step("two members share", until(List.of(first, second), read,
            () -> first.assignment().size() == 2 && second.assignment().size() == 2));
        var told = describe(admin, group);
        step("described as a group of the consumer protocol",
            told.type() == GroupType.CONSUMER && told.members().size() == 2 && told.partitionAssignor().equals("uniform"));
        step("which is stable", until(List.of(first, second), read, () -> describe(admin, group).groupState() == GroupState.STABLE));
        first.close();
        step("the other takes over", until(List.of(second), read, () -> second.assignment().size() == 4));
        produce(topic, 4, 10);
        step("from where it was committed", until(List.of(second), read, () -> read.size() == 440)
            && read.values().stream().allMatch(count -> count == 1));
        second.commitSync();
        var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        step("commits", offsets.values().stream().allMatch(offset -> offset.offset() == 110));
        second.close();
        step("an empty group", describe(admin, group).groupState() == GroupState.EMPTY);
        admin.deleteConsumerGroups(List.of(group)).all().get();
        step("is deleted", admin.listGroups().all().get().stream().noneMatch(one -> one.groupId().equals(group)));
    }

    static void patterns(Admin admin) throws Exception {
        var consumer = member(prefix + "-pattern", "consumer");
        consumer.subscribe(new SubscriptionPattern(prefix + "-[ab]"));
        Map<String, Integer> read = new HashMap<>();
        step("a pattern", until(List.of(consumer), read, () -> consumer.assignment().size() == 4));
        admin.createTopics(List.of(new NewTopic(prefix + "-b", 2, (short) 1))).all().get();
        step("and a topic that matches it later", until(List.of(consumer), read, () -> consumer.assignment().size() == 6));
        admin.createPartitions(Map.of(prefix + "-b", NewPartitions.increaseTo(3))).all().get();
        step("and grows", until(List.of(consumer), read, () -> consumer.assignment().size() == 7));
        consumer.close();
        var bad = member(prefix + "-bad-pattern", "consumer");
        bad.subscribe(new SubscriptionPattern("("));
        boolean refused = false;
        try {
            until(List.of(bad), read, () -> false);
        } catch (KafkaException error) {
            refused = error.getMessage().contains("regular expression");
        }
        step("a pattern that is none", refused);
        bad.close();
    }

    static void statics(Admin admin, String topic) {
        String group = prefix + "-static";
        Map<String, Integer> read = new HashMap<>();
        var one = member(group, "consumer", "group.instance.id", "one");
        var two = member(group, "consumer", "group.instance.id", "two");
        one.subscribe(List.of(topic));
        two.subscribe(List.of(topic));
        step("static members", until(List.of(one, two), read,
            () -> one.assignment().size() == 2 && two.assignment().size() == 2));
        var had = one.assignment();
        one.close();
        var again = member(group, "consumer", "group.instance.id", "one");
        again.subscribe(List.of(topic));
        step("one comes back to what it had", until(List.of(again, two), read, () -> again.assignment().equals(had)));
        var twin = member(group, "consumer", "group.instance.id", "two");
        twin.subscribe(List.of(topic));
        boolean refused = false;
        try {
            until(List.of(twin, again, two), read, () -> false);
        } catch (org.apache.kafka.common.errors.UnreleasedInstanceIdException error) {
            refused = true;
        }
        step("a second one of the same name is refused", refused);
        twin.close();
        again.close();
        two.close();
    }

    static void migration(Admin admin, String topic) throws Exception {
        String group = prefix + "-migration";
        Map<String, Integer> read = new HashMap<>();
        String cooperative = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        for (String assignor : List.of("org.apache.kafka.clients.consumer.RangeAssignor", cooperative)) {
            var old = member(group, "classic", "partition.assignment.strategy", assignor);
            old.subscribe(List.of(topic));
            step("a classic member", until(List.of(old), read, () -> old.assignment().size() == 4));
            var young = member(group, "consumer");
            young.subscribe(List.of(topic));
            step("and one of the consumer protocol", until(List.of(old, young), read,
                () -> old.assignment().size() == 2 && young.assignment().size() == 2));
            step("make a group of that", describe(admin, group).type() == GroupType.CONSUMER);
            produce(topic, 4, 5);
            young.close();
            step("which goes back", until(List.of(old), read, () -> old.assignment().size() == 4));
            step("to be a classic one", describe(admin, group).type() == GroupType.CLASSIC);
            old.commitSync();
            old.close();
        }
    }
}
