package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"corelane.test/clients/tour"
)

// member of a group, as sarama wants it: called for each generation, and in it for each partition.
type member struct {
	group  sarama.ConsumerGroup
	cancel context.CancelFunc
	ended  chan struct{}
	seen   atomic.Int64
	share  atomic.Int64
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.share.Store(int64(len(session.Claims()[topic])))
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.seen.Add(1)
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func join(brokers []string, group string) (*member, error) {
	config := config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = 300 * time.Millisecond
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	joined, err := sarama.NewConsumerGroup(brokers, group, config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: joined, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, m); err != nil {
				fmt.Println("consume:", err)
				return
			}
		}
	}()
	return m, nil
}

func (m *member) leave() error {
	m.cancel()
	<-m.ended
	return m.group.Close()
}

func share(admin sarama.ClusterAdmin, brokers []string) {
	group := topic + "-group"
	end := int64(len(tour.All()))
	kept := func() (bool, error) {
		partitions := map[string][]int32{topic: {0, 1, 2}}
		offsets, err := admin.ListConsumerGroupOffsets(group, partitions)
		if err != nil {
			return false, err
		}
		all := true
		for partition := range int32(tour.Partitions) {
			all = all && offsets.GetBlock(topic, partition).Offset == end
		}
		return all, nil
	}
	first, err := join(brokers, group)
	if err != nil {
		panic(err)
	}
	tour.Step("group: subscribe and read everything", func() error {
		return tour.Until("read", func() (bool, error) {
			return first.seen.Load() == tour.Partitions*end, nil
		})
	})
	tour.Step("group: commit", func() error { return tour.Until("committed", kept) })
	second, err := join(brokers, group)
	if err != nil {
		panic(err)
	}
	tour.Step("group: a second member takes its share", func() error {
		return tour.Until("shared", func() (bool, error) {
			return first.share.Load()+second.share.Load() == tour.Partitions && second.share.Load() > 0, nil
		})
	})
	tour.Step("group: the first one leaves", func() error {
		if err := first.leave(); err != nil {
			return err
		}
		err := tour.Until("taken over", func() (bool, error) {
			return second.share.Load() == tour.Partitions, nil
		})
		if err != nil {
			return err
		}
		return tour.Equal(second.seen.Load(), 0, "read again")
	})
	tour.Step("group: describe", func() error {
		described, err := admin.DescribeConsumerGroups([]string{group})
		if err != nil {
			return err
		}
		return tour.Equal(fmt.Sprint(described[0].State, len(described[0].Members)), "Stable1", "described")
	})
	tour.Step("group: list, delete offsets, delete", func() error {
		if err := second.leave(); err != nil {
			return err
		}
		if err := admin.DeleteConsumerGroupOffset(group, topic, 0); err != nil {
			return err
		}
		listed, err := admin.ListConsumerGroups()
		if err != nil {
			return err
		}
		if err := tour.Equal(listed[group], "consumer", "listed"); err != nil {
			return err
		}
		return admin.DeleteConsumerGroup(group)
	})
}
