package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"curfew/cmd/internal/config"
	"curfew/queue"
	"curfew/registry"
)

// connectTime bounds the first connection to a server: a wrong address has to be told within seconds.
const connectTime = 5 * time.Second

// queueOptions says which part of the configuration is the queue's.
func queueOptions(c *config.Config, name string, log *logrus.Entry) queue.Options {
	return queue.Options{
		URL:         c.NATS.URL,
		Name:        name,
		Creds:       c.NATS.Creds,
		NKey:        c.NATS.NKey,
		User:        c.NATS.User,
		Password:    c.NATS.Password,
		TLS:         queue.TLS{CA: c.NATS.TLS.CA, Cert: c.NATS.TLS.Cert, Key: c.NATS.TLS.Key},
		Domain:      c.NATS.Domain,
		InboxPrefix: c.NATS.InboxPrefix,
		Namespace:   c.Namespace,
		Replicas:    c.NATS.Replicas,
		Backlog:     c.Session.Backlog,
		AckWait:     c.Queue.AckWait,
		Declare:     c.NATS.Declare,
		Log:         log,
	}
}

func connectQueue(ctx context.Context, c *config.Config, name string, log *logrus.Entry, change ...func(*queue.Options)) (*queue.Queue, error) {
	o := queueOptions(c, name, log)
	o.Refused = onRefusal(ctx)
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	for _, f := range change {
		f(&o)
	}
	q, err := queue.Connect(ctx, o)
	if is[*queue.UnreachableError](err) {
		return nil, fmt.Errorf("%w\n  is it running there? --nats-url or nats.url in the configuration says where; `curfew dev` starts one to try", err)
	}
	return q, err
}

func connectRedis(ctx context.Context, c *config.Config, log *logrus.Entry) (*registry.Redis, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	r, err := registry.ConnectRedis(ctx, registry.RedisOptions{URL: c.Redis.URL, Password: c.Redis.Password, Log: log})
	if is[*registry.UnreachableError](err) {
		return nil, fmt.Errorf("%w\n  --redis-url or redis.url in the configuration says where; `curfew dev` starts one to try", err)
	}
	return r, err
}

func openRecords(ctx context.Context, c *config.Config, q *queue.Queue, declare bool, log *logrus.Entry) (*registry.Records, error) {
	return registry.OpenRecords(ctx, q.Conn(), c.Namespace, registry.RecordOptions{
		Replicas: c.NATS.Replicas, Domain: c.NATS.Domain, Declare: declare, Log: log,
	})
}

// fleet is what commands that look or order need: the stream and the records, over one connection.
type fleet struct {
	queue   *queue.Queue
	records *registry.Records // nil where openRecords opens them when they are needed
	// openRecords is for a command that may never need them.
	openRecords func(context.Context) (*registry.Records, error)
}

//nolint:contextcheck // closing has its own bound, also when the context has ended
func (f *fleet) close() { f.queue.Close() }

// attach connects to a fleet that was set up before.
func attach(ctx context.Context, c *config.Config, log *logrus.Entry) (*fleet, error) {
	q, err := connectQueue(ctx, c, "curfew command", log)
	if err != nil {
		return nil, err
	}
	f := &fleet{queue: q}
	if err := q.Attach(ctx); err != nil {
		f.close()
		return nil, err
	}
	if f.records, err = openRecords(ctx, c, q, false, log); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}
