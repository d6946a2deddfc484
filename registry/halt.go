package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Halt is the emergency brake of the whole fleet: while it is on, no worker
// opens a run. It lies in the records' bucket, so the leader that commits the
// opening of a run is the one that knows of the halt.
type Halt struct {
	On     bool      `json:"on"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"` // who asked, as user@host
	At     time.Time `json:"at"`
	// Revision orders what was read; 0 when nobody ever halted this fleet.
	Revision uint64 `json:"-"`
	// Written is when the server stored it; entries of the bucket end recordTTL later.
	Written time.Time `json:"-"`
}

const (
	// fleetKeys begin the keys of the bucket that belong to no session.
	fleetKeys = "fleet."
	haltKey   = fleetKeys + "halt"
	// haltRenewal is the age at which a worker writes a halt again: a halt ends
	// by an order, not because records do not live for ever.
	haltRenewal = 24 * time.Hour
)

// keyInAnswer is what the JetStream API answers when asked for a subject's last message.
type keyInAnswer struct {
	Error   *jetstream.APIError `json:"error"`
	Message *struct {
		Seq  uint64    `json:"seq"`
		Time time.Time `json:"time"`
		Data []byte    `json:"data"`
	} `json:"message"`
}

// Halt reads the brake from the bucket's leader: unlike Get, never from a
// replica that may be behind.
func (r *Records) Halt(ctx context.Context) (Halt, error) {
	h, err := r.readHalt(ctx)
	if err != nil {
		return h, fmt.Errorf("read whether the fleet is halted: %w", err)
	}
	return h, nil
}

func (r *Records) readHalt(ctx context.Context) (Halt, error) {
	var h Halt
	ask, err := json.Marshal(map[string]string{"last_by_subj": "$KV." + r.kv.Bucket() + "." + haltKey})
	if err != nil {
		return h, err
	}
	m, err := r.nc.RequestWithContext(ctx, r.api+"STREAM.MSG.GET.KV_"+r.kv.Bucket(), ask)
	if err != nil {
		return h, err
	}
	var got keyInAnswer
	if err := json.Unmarshal(m.Data, &got); err != nil {
		return h, err
	}
	if got.Error != nil {
		if got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return h, nil
		}
		return h, got.Error
	}
	if got.Message == nil {
		return h, nil
	}
	if len(got.Message.Data) > 0 { // an empty one is a deleted key
		if err := json.Unmarshal(got.Message.Data, &h); err != nil {
			return h, fmt.Errorf("%w: key %s: %w", ErrUnreadable, haltKey, err)
		}
	}
	h.Revision, h.Written = got.Message.Seq, got.Message.Time
	return h, nil
}

// SetHalt puts the brake on or takes it off, by compare-and-set. changed is
// false when it was so already: then the answer is what was found.
func (r *Records) SetHalt(ctx context.Context, want Halt) (now Halt, changed bool, err error) {
	for {
		have, err := r.Halt(ctx)
		if err != nil {
			return have, false, err
		}
		if have.On == want.On {
			return have, false, nil
		}
		next, err := r.writeHalt(ctx, have, want)
		if err == nil || !errors.Is(err, ErrConflict) {
			return next, err == nil, err
		}
		if ctx.Err() != nil {
			return have, false, fmt.Errorf("halt the fleet: %w", context.Cause(ctx))
		}
	}
}

// RenewHalt writes a halt again before the bucket drops it for its age. Of
// several workers that try, one does; that is no error.
func (r *Records) RenewHalt(ctx context.Context, h Halt, now time.Time) error {
	if !h.On || now.Sub(h.Written) < haltRenewal {
		return nil
	}
	_, err := r.writeHalt(ctx, h, h)
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

func (r *Records) writeHalt(ctx context.Context, have, want Halt) (Halt, error) {
	b, err := json.Marshal(want)
	if err != nil {
		return have, err
	}
	rev, err := r.put(ctx, Snapshot{Session: haltKey, Revision: have.Revision}, b, false)
	if err != nil {
		if isConflict(err) {
			err = ErrConflict
		}
		return have, fmt.Errorf("write key %s: %w", haltKey, err)
	}
	want.Revision, want.Written = rev, time.Now()
	return want, nil
}

// ofFleet says that a key of the bucket is no session's.
func ofFleet(key string) bool { return strings.HasPrefix(key, fleetKeys) }
