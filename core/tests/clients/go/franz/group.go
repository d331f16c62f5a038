package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"corelane.test/clients/tour"
)

// protocol is one of the two in which members share topics.
type protocol struct {
	// suffix of the group's name, and of the steps'
	name   string
	more   []kgo.Opt
	shares func(ctx context.Context, admin *kadm.Client, group string) (string, error)
}

var protocols = []protocol{
	{"group", nil, classicShares},
	{"group of the consumer protocol",
		[]kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}, consumerShares},
}

func member(bootstrap kgo.Opt, group string, more []kgo.Opt) (*kgo.Client, error) {
	opts := []kgo.Opt{bootstrap, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(10 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.FetchMaxWait(200 * time.Millisecond)}
	return kgo.NewClient(append(opts, more...)...)
}

// consumerShares is classicShares of a group of the consumer protocol.
func consumerShares(ctx context.Context, admin *kadm.Client, group string) (string, error) {
	described, err := admin.DescribeConsumerGroups(ctx, group)
	if err != nil {
		return "", err
	}
	found := described[group].State
	for _, member := range described[group].Members {
		partitions := 0
		for _, topic := range member.Assignment {
			partitions += len(topic)
		}
		found += fmt.Sprint(" ", partitions)
	}
	return found, nil
}

// classicShares says how many members the group has, and how many partitions each of them.
func classicShares(ctx context.Context, admin *kadm.Client, group string) (string, error) {
	described, err := admin.DescribeGroups(ctx, group)
	if err != nil {
		return "", err
	}
	found := described[group].State
	for _, member := range described[group].Members {
		partitions := 0
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			for _, topic := range assigned.Topics {
				partitions += len(topic.Partitions)
			}
		}
		found += fmt.Sprint(" ", partitions)
	}
	return found, nil
}

func share(ctx context.Context, bootstrap kgo.Opt, admin *kadm.Client, protocol protocol) {
	group := topic + "-" + strings.ReplaceAll(protocol.name, " ", "-")
	step := func(name string, do func() error) { tour.Step(protocol.name+": "+name, do) }
	end := int64(len(tour.All()))
	kept := func(expected int64) error {
		offsets, err := admin.FetchOffsetsForTopics(ctx, group, topic)
		if err != nil {
			return err
		}
		for partition := range int32(tour.Partitions) {
			found, _ := offsets.Lookup(topic, partition)
			if err := tour.Equal(found.At, expected, fmt.Sprint("the offset of ", partition)); err != nil {
				return err
			}
		}
		return nil
	}
	first, err := member(bootstrap, group, protocol.more)
	if err != nil {
		panic(err)
	}
	step("subscribe and read everything", func() error {
		orders := make([]tour.InOrder, tour.Partitions)
		for read := 0; read < tour.Partitions*len(tour.All()); {
			fetches := first.PollFetches(ctx)
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
	})
	step("commit", func() error {
		if err := first.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		return kept(end)
	})
	second, err := member(bootstrap, group, protocol.more)
	if err != nil {
		panic(err)
	}
	step("a second member takes its share", func() error {
		return tour.Until("shared", func() (bool, error) {
			found, err := protocol.shares(ctx, admin, group)
			return found == "Stable 1 2" || found == "Stable 2 1", err
		})
	})
	step("the first one leaves", func() error {
		first.Close()
		return tour.Until("taken over", func() (bool, error) {
			found, err := protocol.shares(ctx, admin, group)
			return found == fmt.Sprint("Stable ", tour.Partitions), err
		})
	})
	step("lag", func() error {
		lags, err := admin.Lag(ctx, group)
		if err != nil {
			return err
		}
		return tour.Equal(lags[group].Lag.Total(), 0, "lag")
	})
	second.Close()
	step("list", func() error {
		listed, err := admin.ListGroups(ctx)
		if err != nil {
			return err
		}
		return tour.Equal(listed[group].State, "Empty", "the state")
	})
	step("reset offsets", func() error {
		var offsets kadm.Offsets
		for partition := range int32(tour.Partitions) {
			offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: 7, LeaderEpoch: -1})
		}
		if err := admin.CommitAllOffsets(ctx, group, offsets); err != nil {
			return err
		}
		return kept(7)
	})
	step("delete", func() error {
		if _, err := admin.DeleteGroup(ctx, group); err != nil {
			return err
		}
		listed, err := admin.ListGroups(ctx)
		if err != nil {
			return err
		}
		_, there := listed[group]
		return tour.Equal(there, false, "listed")
	})
}
