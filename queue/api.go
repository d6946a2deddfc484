package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	callTime    = 15 * time.Second // of a call whose caller set no deadline
	attemptTime = 2 * time.Second  // one unanswered request: a leader that dies leaves one unanswered
	changeTime  = 8 * time.Second  // a request that makes or changes something, or has a long answer
)

// Error codes of the JetStream API that nats.go has no name for.
const (
	codeSequenceNotFound jetstream.ErrorCode = 10043
	codeDeleteFailed     jetstream.ErrorCode = 10057
	codeStoreFailed      jetstream.ErrorCode = 10077
)

// reply is what every answer of the JetStream API has.
type reply struct {
	Error *jetstream.APIError `json:"error"`
}

func (r *reply) failure() error {
	if r.Error == nil { // a nil *APIError in an error would not be nil
		return nil
	}
	return r.Error
}

type answer interface{ failure() error }

// ask sends one request to the JetStream API and waits for its answer, attemptTime at most.
// nats.go's own calls are not used where its reading of headers, its direct reads or its wrapping of errors lose something.
func (q *Queue) ask(ctx context.Context, op string, request any, into answer) error {
	return q.askSubject(ctx, q.api+op, request, into)
}

func (q *Queue) askSubject(ctx context.Context, subject string, request any, into answer) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	var got *nats.Msg
	err = q.request(ctx, attemptTime, func(ctx context.Context) (err error) {
		got, err = q.nc.RequestWithContext(ctx, subject, body)
		return err
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(got.Data, into); err != nil {
		return fmt.Errorf("answer of the server to %s: %w", subject, err)
	}
	return into.failure()
}

// manage repeats a request of nats.go's own that makes, changes or describes something.
func (q *Queue) manage(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	return q.retry(ctx, func(ctx context.Context) error { return q.request(ctx, d, do) })
}

// retry repeats what may be repeated until it answers, with growing pauses, as long as ctx (callTime where it has no end).
func (q *Queue) retry(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := attempt(ctx)
		if err == nil || !passing(err) {
			return err
		}
		if over := pause(ctx, nil, wait); over != nil {
			return fmt.Errorf("%w (last: %w)", over, err)
		}
	}
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTime)
}

// passing tells whether an error may go away by itself: no answer, no leader, a server that restarts.
func passing(err error) bool {
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) {
		return api.Code == 503 && api.ErrorCode != codeStoreFailed &&
			api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabled && api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabledForAccount
	}
	for _, one := range []error{
		nats.ErrTimeout, context.DeadlineExceeded, nats.ErrNoResponders, jetstream.ErrNoStreamResponse,
		nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, ErrDisconnected, errUnanswered,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

func apiCode(err error) jetstream.ErrorCode {
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) {
		return api.ErrorCode
	}
	// nats.go's sentinels carry their code in an unexported type.
	if js := jetstream.JetStreamError(nil); errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}
