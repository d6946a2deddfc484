package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
)

var (
	// ErrConflict says that the record changed since it was read: read it again.
	ErrConflict = errors.New("the record was changed by someone else")
	// ErrUnreadable says that a record is not what any version of this program
	// wrote; deleting its key makes the session a new one.
	ErrUnreadable = errors.New("the record is not readable")
	// ErrNoBucket says that the bucket of the records does not exist.
	ErrNoBucket = errors.New("the records bucket does not exist: start a worker or run `curfew setup`")
)

const (
	// recordTTL keeps a record after its last change.
	recordTTL = 8 * 24 * time.Hour
	// recordsMaxBytes bounds the bucket; a record is about 1 KiB, 70 KiB with a
	// full result.
	recordsMaxBytes = 2 << 30
)

// Snapshot is a record as it was at one revision. Revision 0: none exists.
type Snapshot struct {
	Session string
	Record
	Revision uint64
	// Changed is when the server took this revision; zero for one that this
	// process wrote itself and did not read again.
	Changed time.Time
}

// Fence is the fencing token of the open run: the revision that opened it.
// 0 when no run is open.
func (s Snapshot) Fence() uint64 {
	switch {
	case s.Run == nil:
		return 0
	case s.Run.Fence != 0:
		return s.Run.Fence
	default:
		return s.Revision
	}
}

// RecordOptions say how the bucket is made.
type RecordOptions struct {
	Replicas int
	Domain   string
	// Declare creates the bucket where it is missing.
	Declare bool
	Log     *logrus.Entry
}

// Records is the store of the sessions' records: a JetStream key-value bucket
// whose writes are compare-and-set. Reads may be stale (a replica may answer);
// the write decides. Safe for any number of goroutines.
type Records struct {
	kv  jetstream.KeyValue
	nc  *nats.Conn
	api string // prefix of the JetStream API's subjects
}

// BucketName is the bucket of a namespace's records.
func BucketName(namespace string) string { return strings.ToUpper(namespace) + "_SESSIONS" }

// OpenRecords binds the bucket of the namespace, creating it where it is missing
// and o.Declare is set; else ErrNoBucket.
func OpenRecords(ctx context.Context, nc *nats.Conn, namespace string, o RecordOptions) (*Records, error) {
	js, err := jetstream.New(nc)
	api := "$JS.API."
	if o.Domain != "" {
		api = "$JS." + o.Domain + ".API."
		js, err = jetstream.NewWithDomain(nc, o.Domain)
	}
	if err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	bucket := BucketName(namespace)
	kv, err := js.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		if !o.Declare {
			return nil, fmt.Errorf("bucket %s: %w", bucket, ErrNoBucket)
		}
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket:      bucket,
			Description: "Curfew: what has happened to each session",
			History:     1,
			TTL:         recordTTL,
			MaxBytes:    recordsMaxBytes,
			Storage:     jetstream.FileStorage,
			Replicas:    max(o.Replicas, 1),
		})
		if errors.Is(err, jetstream.ErrBucketExists) { // another worker was first
			kv, err = js.KeyValue(ctx, bucket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return &Records{kv: kv, nc: nc, api: api}, nil
}

// Get reads the session's record; Revision 0 when there is none.
func (r *Records) Get(ctx context.Context, session string) (Snapshot, error) {
	e, err := r.kv.Get(ctx, session)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Snapshot{Session: session}, nil
	}
	if err != nil {
		return Snapshot{Session: session}, fmt.Errorf("read the record of %s: %w", session, err)
	}
	return decode(e)
}

// Update writes rec in place of the snapshot s. ErrConflict when the record was
// changed since s was read. Any other error leaves open whether it was written:
// read again and look for your own write.
func (r *Records) Update(ctx context.Context, s Snapshot, rec Record) (Snapshot, error) {
	if rec.Run != nil && rec.Run.Fence == 0 && s.Run != nil && s.Run.RunKey == rec.Run.RunKey {
		run := *rec.Run
		run.Fence = s.Fence() // the first write after the opening one still knows it
		rec.Run = &run
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return s, fmt.Errorf("write the record of %s: %w", s.Session, err)
	}
	rev, err := r.put(ctx, s, b, planted(bugCAS) && rec.Run != nil && rec.Run.Fence == 0)
	if err != nil {
		if isConflict(err) {
			return s, fmt.Errorf("write the record of %s: %w", s.Session, ErrConflict)
		}
		return s, fmt.Errorf("write the record of %s: %w", s.Session, err)
	}
	return Snapshot{Session: s.Session, Record: rec, Revision: rev}, nil
}

// isConflict: replicated streams refuse with another code than ErrKeyExists has.
func isConflict(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// put sends one compare-and-set. A key that was deleted leaves a marker, which
// has a revision although nothing is there: only Create goes over it.
func (r *Records) put(ctx context.Context, s Snapshot, b []byte, blindly bool) (uint64, error) {
	if blindly { // in tests only
		return r.kv.Put(ctx, s.Session, b)
	}
	if s.Revision == 0 {
		return r.kv.Create(ctx, s.Session, b)
	}
	return r.kv.Update(ctx, s.Session, b, s.Revision)
}

// All hands every record to each; an error of each ends it.
func (r *Records) All(ctx context.Context, each func(Snapshot) error) error {
	return r.watch(ctx, each, true)
}

// Watch hands every record to each, then every change as it happens, until ctx
// ends or each answers an error.
func (r *Records) Watch(ctx context.Context, each func(Snapshot) error) error {
	return r.watch(ctx, each, false)
}

func (r *Records) watch(ctx context.Context, each func(Snapshot) error, once bool) error {
	w, err := r.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch the records: %w", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-w.Updates():
			switch {
			case !ok && ctx.Err() != nil: // it ends with ctx too
				return context.Cause(ctx)
			case !ok:
				return errors.New("watch the records: the server ended it")
			case e == nil: // everything that was there has been handed out
				if once {
					return nil
				}
				continue
			case e.Operation() != jetstream.KeyValuePut, ofFleet(e.Key()):
				continue
			}
			s, err := decode(e)
			if err != nil {
				return err
			}
			if err := each(s); err != nil {
				return err
			}
		}
	}
}

func decode(e jetstream.KeyValueEntry) (Snapshot, error) {
	s := Snapshot{Session: e.Key(), Revision: e.Revision(), Changed: e.Created()}
	if err := json.Unmarshal(e.Value(), &s.Record); err != nil {
		return s, fmt.Errorf("%w: session %s, revision %d: %w", ErrUnreadable, s.Session, s.Revision, err)
	}
	return s, nil
}
