// franz-go's tour: franz BOOTSTRAP
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"corelane.test/clients/tour"
)

var topic = tour.Topic("franz-go")

func main() {
	ctx, cancel := tour.Context()
	defer cancel()
	bootstrap := kgo.SeedBrokers(os.Args[1])
	client, err := kgo.NewClient(bootstrap)
	if err != nil {
		panic(err)
	}
	admin := kadm.NewClient(client)
	value := "-1"
	tour.Step("create topic", func() error {
		configs := map[string]*string{"retention.ms": &value}
		_, err := admin.CreateTopic(ctx, tour.Partitions, 1, configs, topic)
		return err
	})
	tour.Step("describe topic", func() error {
		return tour.Until("partitions", func() (bool, error) {
			described, err := admin.ListTopics(ctx, topic)
			return err == nil && len(described[topic].Partitions) == tour.Partitions, err
		})
	})
	for _, codec := range tour.Codecs {
		tour.Step("produce, idempotent, "+codec, func() error { return produce(ctx, bootstrap, codec) })
	}
	tour.Step("consume from the start", func() error { return consume(ctx, bootstrap) })
	tour.Step("list offsets", func() error { return listOffsets(ctx, admin) })
	tour.Step("consume from a time", func() error { return consumeFromTime(ctx, bootstrap, admin) })
	for _, protocol := range protocols {
		share(ctx, bootstrap, admin, protocol)
	}
	administer(ctx, admin)
}

func produce(ctx context.Context, bootstrap kgo.Opt, codec string) error {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	client, err := kgo.NewClient(bootstrap, kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(8<<10))
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for _, r := range tour.Of(codec) {
		for partition := range int32(tour.Partitions) {
			record := &kgo.Record{Topic: topic, Partition: partition, Key: r.Key, Value: r.Value,
				Timestamp: time.UnixMilli(r.TimestampMs)}
			for _, h := range r.Headers {
				record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
			}
			records = append(records, record)
		}
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

func record(r *kgo.Record) tour.Record {
	found := tour.Record{Key: r.Key, Value: r.Value, TimestampMs: r.Timestamp.UnixMilli()}
	for _, h := range r.Headers {
		found.Headers = append(found.Headers, tour.Header{Key: h.Key, Value: h.Value})
	}
	return found
}

func assigned(bootstrap kgo.Opt, offsets map[int32]kgo.Offset) (*kgo.Client, error) {
	partitions := map[string]map[int32]kgo.Offset{topic: offsets}
	return kgo.NewClient(bootstrap, kgo.ConsumePartitions(partitions), kgo.FetchMaxWait(200*time.Millisecond))
}

func consume(ctx context.Context, bootstrap kgo.Opt) error {
	start := map[int32]kgo.Offset{}
	for partition := range int32(tour.Partitions) {
		start[partition] = kgo.NewOffset().AtStart()
	}
	client, err := assigned(bootstrap, start)
	if err != nil {
		return err
	}
	defer client.Close()
	orders := make([]tour.InOrder, tour.Partitions)
	for read := 0; read < tour.Partitions*len(tour.All()); {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if err := orders[r.Partition].Add(r.Offset, record(r)); err != nil {
				return err
			}
			read++
		}
	}
	return nil
}

func listOffsets(ctx context.Context, admin *kadm.Client) error {
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	for partition := range int32(tour.Partitions) {
		start, _ := starts.Lookup(topic, partition)
		end, _ := ends.Lookup(topic, partition)
		if start.Offset != 0 || end.Offset != int64(len(tour.All())) || start.Err != nil || end.Err != nil {
			return fmt.Errorf("partition %d: %+v to %+v", partition, start, end)
		}
	}
	return nil
}

func consumeFromTime(ctx context.Context, bootstrap kgo.Opt, admin *kadm.Client) error {
	listed, err := admin.ListOffsetsAfterMilli(ctx, tour.StartMs+123_456, topic)
	if err != nil {
		return err
	}
	offset, _ := listed.Lookup(topic, 1)
	if err := tour.Equal(offset.Offset, 124, "the offset of that time"); err != nil {
		return err
	}
	client, err := assigned(bootstrap, map[int32]kgo.Offset{1: kgo.NewOffset().AfterMilli(tour.StartMs + 123_456)})
	if err != nil {
		return err
	}
	defer client.Close()
	fetches := client.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		return err
	}
	first := fetches.Records()[0]
	if err := tour.Equal(first.Offset, 124, "the first record"); err != nil {
		return err
	}
	return tour.Same(124, record(first))
}

func administer(ctx context.Context, admin *kadm.Client) {
	config := func(key string) (string, error) {
		described, err := admin.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return "", err
		}
		for _, config := range described[0].Configs {
			if config.Key == key {
				return config.MaybeValue(), described[0].Err
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
		value := "54321"
		change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &value}}
		altered, err := admin.AlterTopicConfigs(ctx, change, topic)
		if err != nil || altered[0].Err != nil {
			return fmt.Errorf("%v, %v", err, altered)
		}
		return tour.Until("altered", func() (bool, error) {
			value, err := config("max.message.bytes")
			return value == "54321", err
		})
	})
	tour.Step("add partitions", func() error {
		if updated, err := admin.UpdatePartitions(ctx, tour.Partitions+2, topic); err != nil || updated.Error() != nil {
			return fmt.Errorf("%v, %v", err, updated.Error())
		}
		return tour.Until("added", func() (bool, error) {
			described, err := admin.ListTopics(ctx, topic)
			return err == nil && len(described[topic].Partitions) == tour.Partitions+2, err
		})
	})
	tour.Step("delete records", func() error {
		deleted, err := admin.DeleteRecords(ctx, kadm.Offsets{topic: {0: {Topic: topic, Partition: 0, At: 7}}})
		if err != nil || deleted.Error() != nil {
			return fmt.Errorf("%v, %v", err, deleted.Error())
		}
		starts, err := admin.ListStartOffsets(ctx, topic)
		if err != nil {
			return err
		}
		start, _ := starts.Lookup(topic, 0)
		return tour.Equal(start.Offset, 7, "first after the deletion")
	})
	tour.Step("describe cluster and log dirs", func() error {
		if _, err := admin.BrokerMetadata(ctx); err != nil {
			return err
		}
		dirs, err := admin.DescribeAllLogDirs(ctx, nil)
		if err != nil {
			return err
		}
		dirs.Each(func(dir kadm.DescribedLogDir) {
			if dir.Err != nil {
				err = dir.Err
			}
		})
		return err
	})
	tour.Step("delete topic", func() error {
		deleted, err := admin.DeleteTopics(ctx, topic)
		if err != nil || deleted.Error() != nil {
			return fmt.Errorf("%v, %v", err, deleted.Error())
		}
		return tour.Until("deleted", func() (bool, error) {
			listed, err := admin.ListTopics(ctx)
			return !listed.Has(topic), err
		})
	})
}
