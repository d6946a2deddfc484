package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Cursor is how far somebody has followed the records. The zero value is before
// the first one.
type Cursor struct {
	bucket   time.Time // when it was made: another one may go by the same name
	revision uint64
}

// Changes hands to each, in order, every record that changed since the cursor,
// as it is now, and answers the cursor for the next call. A deleted record comes
// with Revision 0, one that cannot be read with ErrUnreadable. anew is called
// first where the bucket is another one than the cursor's: forget what came from it.
//
// It costs one reading of what changed, however often that was. Following the
// bucket all the time would cost a delivery for each write of each worker.
func (r *Records) Changes(ctx context.Context, from Cursor, anew func(), each func(Snapshot, error)) (Cursor, error) {
	status, err := r.kv.Status(ctx)
	if err != nil {
		return from, fmt.Errorf("follow the records: %w", err)
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return from, fmt.Errorf("follow the records: the bucket's status is a %T", status)
	}
	info := bucket.StreamInfo()
	if !info.Created.Equal(from.bucket) || info.State.LastSeq < from.revision {
		anew()
		from = Cursor{bucket: info.Created}
	}
	if info.State.LastSeq == from.revision {
		return from, nil
	}
	var o []jetstream.WatchOpt
	if from.revision > 0 {
		o = append(o, jetstream.ResumeFromRevision(from.revision+1))
	}
	w, err := r.kv.WatchAll(ctx, o...)
	if err != nil {
		return from, fmt.Errorf("follow the records: %w", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return from, context.Cause(ctx)
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return from, errors.New("follow the records: the server ended it")
			case e == nil:
				return from, nil
			case ofFleet(e.Key()): // no session's
			case e.Operation() == jetstream.KeyValuePut:
				each(decode(e))
			default:
				each(Snapshot{Session: e.Key()}, nil)
			}
			from.revision = max(from.revision, e.Revision())
		}
	}
}
