// kafka-go's tour: kafkago BOOTSTRAP
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"

	"corelane.test/clients/tour"
)

var topic = tour.Topic("kafka-go")

func main() {
	ctx, cancel := tour.Context()
	defer cancel()
	bootstrap := os.Args[1]
	client := &kafka.Client{Addr: kafka.TCP(bootstrap), Timeout: tour.Patience}
	tour.Step("create topic", func() error {
		created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
			Topic: topic, NumPartitions: tour.Partitions, ReplicationFactor: 1,
			ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "-1"}},
		}}})
		if err != nil {
			return err
		}
		return created.Errors[topic]
	})
	tour.Step("describe topic", func() error { return untilPartitions(ctx, client, tour.Partitions) })
	for i, codec := range tour.Codecs {
		tour.Step("produce, "+codec, func() error {
			return produce(ctx, bootstrap, codec, kafka.Compression(i))
		})
	}
	tour.Step("consume from the start, Reader", func() error { return consume(ctx, bootstrap) })
	tour.Step("consume from the start, Conn", func() error { return consumeByConn(ctx, bootstrap) })
	tour.Step("list offsets", func() error { return listOffsets(ctx, client) })
	tour.Step("consume from a time", func() error { return consumeFromTime(ctx, bootstrap, client) })
	administer(ctx, client)
}

func untilPartitions(ctx context.Context, client *kafka.Client, count int) error {
	return tour.Until("partitions", func() (bool, error) {
		described, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
		return err == nil && len(described.Topics[0].Partitions) == count, err
	})
}

func produce(ctx context.Context, bootstrap, codec string, compression kafka.Compression) error {
	messages := []kafka.Message{}
	for _, r := range tour.Of(codec) {
		for partition := range tour.Partitions {
			message := kafka.Message{Key: r.Key, Value: r.Value, Time: time.UnixMilli(r.TimestampMs)}
			for _, h := range r.Headers {
				message.Headers = append(message.Headers, kafka.Header{Key: h.Key, Value: h.Value})
			}
			// The balancer below reads it: a Writer does not take a message's partition.
			message.WriterData = partition
			messages = append(messages, message)
		}
	}
	writer := &kafka.Writer{
		Addr: kafka.TCP(bootstrap), Topic: topic, Compression: compression, RequiredAcks: kafka.RequireAll,
		BatchTimeout: 20 * time.Millisecond,
		Balancer:     kafka.BalancerFunc(func(m kafka.Message, _ ...int) int { return m.WriterData.(int) }),
	}
	defer writer.Close()
	return writer.WriteMessages(ctx, messages...)
}

func record(m kafka.Message) tour.Record {
	found := tour.Record{Key: m.Key, Value: m.Value, TimestampMs: m.Time.UnixMilli()}
	for _, h := range m.Headers {
		found.Headers = append(found.Headers, tour.Header{Key: h.Key, Value: h.Value})
	}
	return found
}

func consume(ctx context.Context, bootstrap string) error {
	for partition := range tour.Partitions {
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{bootstrap}, Topic: topic, Partition: partition, MaxWait: 200 * time.Millisecond,
		})
		order := tour.InOrder{}
		for range tour.All() {
			message, err := reader.ReadMessage(ctx)
			if err != nil {
				return err
			}
			if err := order.Add(message.Offset, record(message)); err != nil {
				return err
			}
		}
		if err := reader.Close(); err != nil {
			return err
		}
	}
	return nil
}

// A Conn speaks other versions than a Reader does.
func consumeByConn(ctx context.Context, bootstrap string) error {
	conn, err := kafka.DialLeader(ctx, "tcp", bootstrap, topic, 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(tour.Patience))
	first, last, err := conn.ReadOffsets()
	if err != nil || first != 0 || last != int64(len(tour.All())) {
		return fmt.Errorf("offsets %d to %d: %v", first, last, err)
	}
	order := tour.InOrder{}
	for order.Next < last {
		batch := conn.ReadBatch(1, 1<<20)
		for {
			message, err := batch.ReadMessage()
			if err != nil {
				break
			}
			if err := order.Add(message.Offset, record(message)); err != nil {
				return err
			}
		}
		if err := batch.Close(); err != nil {
			return err
		}
	}
	return nil
}

func listOffsets(ctx context.Context, client *kafka.Client) error {
	asked := []kafka.OffsetRequest{}
	for partition := range tour.Partitions {
		asked = append(asked, kafka.FirstOffsetOf(partition), kafka.LastOffsetOf(partition))
	}
	listed, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: asked}})
	if err != nil {
		return err
	}
	for _, found := range listed.Topics[topic] {
		if found.Error != nil || found.FirstOffset != 0 || found.LastOffset != int64(len(tour.All())) {
			return fmt.Errorf("%+v", found)
		}
	}
	return nil
}

func consumeFromTime(ctx context.Context, bootstrap string, client *kafka.Client) error {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{bootstrap}, Topic: topic, Partition: 1, MaxWait: 200 * time.Millisecond,
	})
	defer reader.Close()
	if err := reader.SetOffsetAt(ctx, time.UnixMilli(tour.StartMs+123_456)); err != nil {
		return err
	}
	message, err := reader.ReadMessage(ctx)
	if err != nil {
		return err
	}
	if err := tour.Equal(message.Offset, 124, "the offset of that time"); err != nil {
		return err
	}
	return tour.Same(124, record(message))
}

func administer(ctx context.Context, client *kafka.Client) {
	config := func(key string) (string, error) {
		described, err := client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
			Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}},
		})
		if err != nil {
			return "", err
		}
		for _, entry := range described.Resources[0].ConfigEntries {
			if entry.ConfigName == key {
				return entry.ConfigValue, described.Resources[0].Error
			}
		}
		return "", fmt.Errorf("%s is not described", key)
	}
	tour.Step("describe configs", func() error {
		value, err := config("retention.ms")
		if err != nil {
			return err
		}
		return tour.Equal(value, "-1", "retention.ms")
	})
	tour.Step("alter configs", func() error {
		altered, err := client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
			Resources: []kafka.IncrementalAlterConfigsRequestResource{{
				ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
				Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
					Name: "max.message.bytes", Value: "54321", ConfigOperation: kafka.ConfigOperationSet,
				}},
			}},
		})
		if err != nil || altered.Resources[0].Error != nil {
			return fmt.Errorf("%v, %+v", err, altered)
		}
		return tour.Until("altered", func() (bool, error) {
			value, err := config("max.message.bytes")
			return value == "54321", err
		})
	})
	tour.Step("add partitions", func() error {
		added, err := client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
			Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: tour.Partitions + 2}},
		})
		if err != nil || added.Errors[topic] != nil {
			return fmt.Errorf("%v, %v", err, added)
		}
		return untilPartitions(ctx, client, tour.Partitions+2)
	})
	tour.Step("delete topic", func() error {
		deleted, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
		if err != nil || deleted.Errors[topic] != nil {
			return fmt.Errorf("%v, %v", err, deleted)
		}
		return tour.Until("deleted", func() (bool, error) {
			described, err := client.Metadata(ctx, &kafka.MetadataRequest{})
			if err != nil {
				return false, err
			}
			for _, other := range described.Topics {
				if other.Name == topic {
					return false, nil
				}
			}
			return true, nil
		})
	})
}
