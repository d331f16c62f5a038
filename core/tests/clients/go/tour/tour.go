// Package tour is what the tours of the Go clients share: their steps, and the records that they send.
package tour

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"
)

const (
	Partitions = 3
	Records    = 100
	StartMs    = int64(1_700_000_000_000)
	Patience   = 60 * time.Second
)

// Codecs by their common names, in the order in which they are used.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Header of a record; keys may repeat.
type Header struct {
	Key   string
	Value []byte
}

// Record as every client must send and return it.
type Record struct {
	Key, Value  []byte
	Headers     []Header
	TimestampMs int64
}

// Topic of one run of a client.
func Topic(client string) string {
	return fmt.Sprintf("tour-%s-%d", client, os.Getpid())
}

// Context bounds the whole tour.
func Context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 10*Patience)
}

// Step prints the step's outcome; the first that fails ends the program.
func Step(name string, do func() error) {
	if err := do(); err != nil {
		fmt.Printf("FAIL %s: %v\n", name, err)
		os.Exit(1)
	}
	fmt.Printf("ok   %s\n", name)
}

// Equal is an error unless found is what was expected.
func Equal[T comparable](found, expected T, what string) error {
	if found != expected {
		return fmt.Errorf("%s: %v instead of %v", what, found, expected)
	}
	return nil
}

// Until waits for what a cluster may take a moment to show everywhere.
func Until(what string, holds func() (bool, error)) error {
	for started := time.Now(); time.Since(started) < Patience; time.Sleep(100 * time.Millisecond) {
		if done, err := holds(); err != nil || done {
			return err
		}
	}
	return fmt.Errorf("%s: not within %v", what, Patience)
}

// Of a codec: one partition's records, each a second after the one before it; all shapes of keys and headers.
func Of(codec string) []Record {
	var base int64
	for i, other := range Codecs {
		if other == codec {
			base = StartMs + int64(i)*Records*1_000
		}
	}
	records := make([]Record, Records)
	for n := range records {
		r := &records[n]
		r.TimestampMs = base + int64(n)*1_000
		if n%3 != 0 {
			r.Key = fmt.Appendf(nil, "%s-key-%d", codec, n)
		}
		if n%17 != 5 || n%3 == 0 {
			r.Value = append(fmt.Appendf(nil, "%s-%d-", codec, n), bytes.Repeat([]byte("x"), n*7)...)
		}
		if n%4 == 0 {
			r.Headers = []Header{{"n", fmt.Append(nil, n)}, {"n", []byte("again")}, {"empty", []byte{}}}
		}
	}
	return records
}

// All is what a partition holds in the end, in order.
func All() []Record {
	var all []Record
	for _, codec := range Codecs {
		all = append(all, Of(codec)...)
	}
	return all
}

// Same is an error unless the record found at an offset is the one that was sent there.
func Same(offset int64, found Record) error {
	expected := All()[offset]
	same := bytes.Equal(found.Key, expected.Key) && bytes.Equal(found.Value, expected.Value) &&
		(found.Key == nil) == (expected.Key == nil) && (found.Value == nil) == (expected.Value == nil) &&
		found.TimestampMs == expected.TimestampMs && len(found.Headers) == len(expected.Headers)
	for i := 0; same && i < len(found.Headers); i++ {
		same = found.Headers[i].Key == expected.Headers[i].Key &&
			bytes.Equal(found.Headers[i].Value, expected.Headers[i].Value)
	}
	if !same {
		return fmt.Errorf("offset %d: %+v instead of %+v", offset, found, expected)
	}
	return nil
}

// InOrder checks a partition's records one by one; its zero value expects offset 0.
type InOrder struct{ Next int64 }

// Add is an error unless this is the next record.
func (o *InOrder) Add(offset int64, found Record) error {
	if err := Equal(offset, o.Next, "offset"); err != nil {
		return err
	}
	o.Next++
	return Same(offset, found)
}
