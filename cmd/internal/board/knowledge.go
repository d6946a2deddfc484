package board

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker"
)

const (
	askTime      = 5 * time.Second        // one question
	learnTime    = time.Minute            // all the records
	relearnEvery = 10 * time.Minute       // records that are gone by their age tell nobody: all are read again
	countEvery   = 2 * time.Second        // what waits; a costly answer where there are many sessions
	rollQuiet    = 250 * time.Millisecond // a roll call is over when no further worker answers for so long
	maxWorkers   = 1000                   // that a roll call listens to
)

// knowledge is what was learned, and how far.
type knowledge struct {
	cursor  registry.Cursor
	since   time.Time // when the records were read from the beginning
	rows    map[string]Row
	ends    map[string]End // the last of each session
	waiting map[string]uint64
	workers []Worker
	halt    registry.Halt
	depth   queue.Depth

	counted time.Time // when what waits may be asked for again
}

// learn asks for everything that is due; the first question without an answer ends it.
func (k *knowledge) learn(ctx context.Context, r Records, s Streams) error {
	if !s.Up() {
		return errors.New("NATS is not connected")
	}
	if err := k.learnRecords(ctx, r); err != nil {
		return err
	}
	if err := k.learnHalt(ctx, r); err != nil {
		return err
	}
	if time.Now().Before(k.counted) {
		return nil
	}
	began := time.Now()
	if err := k.learnCounts(ctx, s); err != nil {
		return err
	}
	k.counted = time.Now().Add(max(countEvery, busyShare*time.Since(began)))
	return k.learnWorkers(ctx, s)
}

func (k *knowledge) learnRecords(ctx context.Context, r Records) error {
	ctx, cancel := context.WithTimeout(ctx, learnTime)
	defer cancel()
	if time.Since(k.since) > relearnEvery {
		k.cursor, k.since = registry.Cursor{}, time.Now()
	}
	anew := func() { k.rows, k.ends, k.since = map[string]Row{}, map[string]End{}, time.Now() }
	cursor, err := r.Changes(ctx, k.cursor, anew, func(s registry.Snapshot, err error) {
		if err != nil || s.Revision == 0 || !queue.ValidSession(s.Session) {
			delete(k.rows, s.Session)
			delete(k.ends, s.Session)
			return
		}
		k.rows[s.Session] = rowOf(s)
		if s.Last != nil {
			k.ends[s.Session] = endOf(s)
		}
	})
	k.cursor = cursor
	return err
}

func (k *knowledge) learnHalt(ctx context.Context, r Records) (err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	k.halt, err = r.Halt(ctx)
	return err
}

func (k *knowledge) learnCounts(ctx context.Context, s Streams) error {
	ctx, cancel := context.WithTimeout(ctx, learnTime)
	defer cancel()
	waiting, err := s.Waiting(ctx)
	if err != nil {
		return err
	}
	depth, err := s.Depth(ctx)
	if err == nil {
		k.waiting, k.depth = waiting, depth
	}
	return err
}

func (k *knowledge) learnWorkers(ctx context.Context, s Streams) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	met := map[string]Worker{}
	var broken error
	err := s.RollCall(ctx, rollQuiet, func(answer []byte) bool {
		var p worker.Presence
		if err := json.Unmarshal(answer, &p); err != nil {
			broken = fmt.Errorf("a worker's answer to the roll call: %w", err)
			return true
		}
		met[p.ID] = Worker{ID: p.ID, Host: p.Host, State: p.State, Live: p.Live, Slots: p.Slots, Started: p.Started}
		return len(met) < maxWorkers
	})
	if err != nil {
		return err
	}
	k.workers = slices.SortedFunc(maps.Values(met), func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	return broken
}
