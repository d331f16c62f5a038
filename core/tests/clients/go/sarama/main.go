// sarama's tour: sarama BOOTSTRAP
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"

	"corelane.test/clients/tour"
)

var topic = tour.Topic("sarama")

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Return.Errors = true
	return config
}

func main() {
	brokers := []string{os.Args[1]}
	admin, err := sarama.NewClusterAdmin(brokers, config())
	if err != nil {
		panic(err)
	}
	value := "-1"
	tour.Step("create topic", func() error {
		detail := sarama.TopicDetail{NumPartitions: tour.Partitions, ReplicationFactor: 1,
			ConfigEntries: map[string]*string{"retention.ms": &value}}
		return admin.CreateTopic(topic, &detail, false)
	})
	tour.Step("describe topic", func() error { return untilPartitions(admin, tour.Partitions) })
	for i, codec := range tour.Codecs {
		tour.Step("produce, idempotent, "+codec, func() error {
			return produce(brokers, codec, sarama.CompressionCodec(i))
		})
	}
	tour.Step("consume from the start", func() error { return consume(brokers) })
	tour.Step("list offsets, consume from a time", func() error { return consumeFromTime(brokers) })
	share(admin, brokers)
	administer(admin, brokers)
}

func untilPartitions(admin sarama.ClusterAdmin, count int) error {
	return tour.Until("partitions", func() (bool, error) {
		described, err := admin.DescribeTopics([]string{topic})
		return err == nil && len(described[0].Partitions) == count, err
	})
}

func produce(brokers []string, codec string, compression sarama.CompressionCodec) error {
	config := config()
	config.Producer.Compression = compression
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, r := range tour.Of(codec) {
		for partition := range int32(tour.Partitions) {
			message := &sarama.ProducerMessage{Topic: topic, Partition: partition, Timestamp: time.UnixMilli(r.TimestampMs)}
			if r.Key != nil {
				message.Key = sarama.ByteEncoder(r.Key)
			}
			if r.Value != nil {
				message.Value = sarama.ByteEncoder(r.Value)
			}
			for _, h := range r.Headers {
				message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
			}
			messages = append(messages, message)
		}
	}
	return producer.SendMessages(messages)
}

func record(m *sarama.ConsumerMessage) tour.Record {
	found := tour.Record{Key: m.Key, Value: m.Value, TimestampMs: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		found.Headers = append(found.Headers, tour.Header{Key: string(h.Key), Value: h.Value})
	}
	return found
}

func read(consumer sarama.Consumer, partition int32, order tour.InOrder, count int) error {
	messages, err := consumer.ConsumePartition(topic, partition, order.Next)
	if err != nil {
		return err
	}
	defer messages.AsyncClose()
	for range count {
		select {
		case message := <-messages.Messages():
			if err := order.Add(message.Offset, record(message)); err != nil {
				return err
			}
		case err := <-messages.Errors():
			return err
		case <-time.After(tour.Patience):
			return fmt.Errorf("partition %d: nothing at offset %d", partition, order.Next)
		}
	}
	return nil
}

func consume(brokers []string) error {
	consumer, err := sarama.NewConsumer(brokers, config())
	if err != nil {
		return err
	}
	defer consumer.Close()
	for partition := range int32(tour.Partitions) {
		if err := read(consumer, partition, tour.InOrder{}, len(tour.All())); err != nil {
			return err
		}
	}
	return nil
}

func consumeFromTime(brokers []string) error {
	client, err := sarama.NewClient(brokers, config())
	if err != nil {
		return err
	}
	defer client.Close()
	asked := map[int64]int64{
		sarama.OffsetOldest: 0, sarama.OffsetNewest: int64(len(tour.All())), tour.StartMs + 123_456: 124,
	}
	for timestamp, expected := range asked {
		offset, err := client.GetOffset(topic, 1, timestamp)
		if err != nil {
			return err
		}
		if err := tour.Equal(offset, expected, fmt.Sprintf("the offset of %d", timestamp)); err != nil {
			return err
		}
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	return read(consumer, 1, tour.InOrder{Next: 124}, 10)
}

func administer(admin sarama.ClusterAdmin, brokers []string) {
	described := func(key string) (string, error) {
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
		if err != nil {
			return "", err
		}
		for _, entry := range entries {
			if entry.Name == key {
				return entry.Value, nil
			}
		}
		return "", fmt.Errorf("%s is not described", key)
	}
	tour.Step("describe configs", func() error {
		value, err := described("retention.ms")
		if err != nil {
			return err
		}
		return tour.Equal(value, "-1", "retention.ms")
	})
	altered := func(key, expected string) error {
		return tour.Until(key, func() (bool, error) {
			value, err := described(key)
			return value == expected, err
		})
	}
	tour.Step("alter configs, one key", func() error {
		value := "54321"
		change := map[string]sarama.IncrementalAlterConfigsEntry{
			"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
		}
		if err := admin.IncrementalAlterConfig(sarama.TopicResource, topic, change, false); err != nil {
			return err
		}
		return altered("max.message.bytes", value)
	})
	tour.Step("alter configs, the whole set", func() error {
		// The records are old: by any other retention they might be gone before the tour ends.
		value := "-1"
		if err := admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &value}, false); err != nil {
			return err
		}
		if err := altered("max.message.bytes", "1048588"); err != nil {
			return err
		}
		return altered("retention.ms", value)
	})
	tour.Step("add partitions", func() error {
		if err := admin.CreatePartitions(topic, tour.Partitions+2, nil, false); err != nil {
			return err
		}
		return untilPartitions(admin, tour.Partitions+2)
	})
	tour.Step("delete records", func() error {
		if err := admin.DeleteRecords(topic, map[int32]int64{0: 7}); err != nil {
			return err
		}
		client, err := sarama.NewClient(brokers, config())
		if err != nil {
			return err
		}
		defer client.Close()
		offset, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		return tour.Equal(offset, 7, "first after the deletion")
	})
	tour.Step("describe cluster and log dirs", func() error {
		found, _, err := admin.DescribeCluster()
		if err != nil {
			return err
		}
		_, err = admin.DescribeLogDirs([]int32{found[0].ID()})
		return err
	})
	tour.Step("delete topic", func() error {
		if err := admin.DeleteTopic(topic); err != nil {
			return err
		}
		return tour.Until("deleted", func() (bool, error) {
			listed, err := admin.ListTopics()
			_, there := listed[topic]
			return !there, err
		})
	})
}
