package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"curfew/queue"
	"curfew/registry"
)

func checkNATS(_ context.Context, v *visit) (Finding, error) {
	x, err := v.nats()
	switch {
	case errors.Is(err, queue.ErrCredentials):
		return Finding{Mend: "correct nats.user and nats.password (or nats.creds, nats.nkey), or give this user to the server"}, err
	case err != nil:
		return Finding{Mend: "start it, or correct nats.url (--nats-url); `curfew dev` starts one to try"}, err
	}
	return Finding{Seen: "connected to " + x.Server()}, nil
}

func checkJetStream(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.natsOr()
	if err != nil {
		return Finding{}, err
	}
	err = x.JetStream(ctx)
	switch {
	case errors.Is(err, queue.ErrNoJetStream):
		return Finding{Mend: "add `jetstream {store_dir: ...}` to the server's configuration (or start it with -js), and `jetstream: enabled` to the account where there are accounts"}, err
	case err != nil:
		return Finding{Mend: "allow what nats-permissions says, then look again"}, fmt.Errorf("JetStream does not answer: %w", err)
	}
	return Finding{Seen: "it answers"}, nil
}

func checkPermissions(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.natsOr()
	if err != nil {
		return Finding{}, err
	}
	denied, err := x.Denied(ctx)
	if err != nil {
		return Finding{}, err
	}
	if len(denied) == 0 {
		return Finding{Seen: "everything that a worker publishes and subscribes to is allowed"}, nil
	}
	all := make([]string, len(denied))
	for i, d := range denied {
		all[i] = d.String()
	}
	return Finding{
		Verdict: Fail, Seen: "a worker may not " + strings.Join(all, ", nor "),
		Mend: "add these to the user's permissions in the server's configuration; a session's UUID stands for any, so write * or > in its place",
	}, nil
}

// usualPayload is what NATS servers take unless told otherwise.
const usualPayload = 1 << 20

func checkMaxPayload(_ context.Context, v *visit) (Finding, error) {
	x, err := v.natsOr()
	if err != nil {
		return Finding{}, err
	}
	have := x.MaxPayload()
	f := Finding{Seen: fmt.Sprintf("%d bytes: a job may have %d", have, max(0, x.LargestJob()))}
	switch {
	case have < queue.LeastPayload:
		f.Verdict = Fail
		f.Seen = fmt.Sprintf("%d bytes, Curfew needs %d", have, queue.LeastPayload)
		f.Mend = "raise max_payload in the server's configuration: 1MB is usual"
	case have < usualPayload:
		f.Verdict, f.Mend = Warn, "raise max_payload in the server's configuration where jobs or results are larger: 1MB is usual"
	}
	return f, nil
}

func checkStreams(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.natsOr()
	if err != nil {
		return Finding{}, err
	}
	err = x.Compare(ctx, queue.Terms{TTL: v.Terms.TTL, Margin: v.Terms.Margin})
	terms, otherTerms := errors.AsType[*queue.TermsError](err)
	differ, otherSettings := errors.AsType[*queue.DifferError](err)
	switch {
	case otherTerms:
		return Finding{
			Verdict: Fail,
			Seen:    fmt.Sprintf("the namespace agreed on lease.ttl %s and lease.margin %s, this configuration says %s and %s", terms.Agreed.TTL, terms.Agreed.Margin, terms.Wanted.TTL, terms.Wanted.Margin),
			Mend:    "configure the agreed ones here, or stop all workers and run `curfew setup` with the new ones",
		}, nil
	case otherSettings:
		return Finding{Verdict: Fail, Seen: "they differ from the configuration: " + strings.Join(differ.Differences, "; "), Mend: "run `curfew setup`, or configure what is there"}, nil
	case errors.Is(err, queue.ErrNotSetUp) && v.Queue.Declare != queue.DeclareNever:
		return Finding{Seen: "none yet: the first worker makes them"}, nil
	case errors.Is(err, queue.ErrNotSetUp):
		return Finding{Mend: "run `curfew setup` as a user who may create streams: nats.declare is never"}, err
	case err != nil && x.JetStream(ctx) != nil:
		return Finding{}, &notCheckedError{"JetStream does not answer"}
	case err != nil:
		return Finding{Mend: "allow what nats-permissions says, then look again"}, err
	}
	return Finding{Seen: "as configured, with the agreed lease times"}, nil
}

func checkNATSClock(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.natsOr()
	if err != nil {
		return Finding{}, err
	}
	return v.compareClocks(ctx, "the NATS server", x.Clock)
}

func checkFleet(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.natsOr()
	if err != nil {
		return Finding{}, err
	}
	o := v.Records
	o.Declare = false
	records, err := registry.OpenRecords(ctx, x.Conn(), v.Queue.Namespace, o)
	if errors.Is(err, registry.ErrNoBucket) {
		return Finding{Seen: "not halted: it has no records yet"}, nil
	}
	if err != nil {
		return Finding{}, &notCheckedError{"the records cannot be read"}
	}
	h, err := records.Halt(ctx)
	if err != nil {
		return Finding{Mend: "allow what nats-permissions says, then look again"}, err
	}
	if !h.On {
		return Finding{Seen: "not halted"}, nil
	}
	seen := fmt.Sprintf("halted by %q since %s", h.By, h.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	if h.Reason != "" {
		seen += fmt.Sprintf(": %q", h.Reason)
	}
	return Finding{Verdict: Warn, Seen: seen, Mend: "`curfew unhalt` lets jobs run again"}, nil
}
