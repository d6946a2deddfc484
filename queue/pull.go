package queue

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// heartbeat is how often the server shows that it still knows a waiting pull.
const heartbeat = 5 * time.Second

// pull takes messages from one consumer through one inbox, a batch at a time, only when asked.
//
// nats.go's own iterator is not used: it takes a job with an empty body and a Status header for a word of the server and
// never hands it out, it reads one that was parked when its caller left only in the next call, and it does not see that a
// consumer was deleted while the connection was away before its heartbeats are missed.
// Here what has a reply subject is a message, and a pull that nobody answers says so at once.
type pull struct {
	nc    *nats.Conn
	next  string // the API's subject that the consumer is asked on
	sub   *nats.Subscription
	news  chan struct{} // buffered: one token after got, word or beat changed
	ended chan struct{} // closed when the subscription has handed out its last

	mu   sync.Mutex
	got  []*nats.Msg
	left int             // of the batch asked for
	word *nats.Msg       // the server's word that ended the batch early
	beat time.Time       // last sign of life
	late func(*nats.Msg) // takes what comes after its caller left; nil before
}

func (q *Queue) newPull(stream, consumer string) (*pull, error) {
	p := &pull{
		nc:    q.nc,
		next:  q.api + "CONSUMER.MSG.NEXT." + stream + "." + consumer,
		news:  make(chan struct{}, 1),
		ended: make(chan struct{}),
	}
	sub, err := q.nc.Subscribe(q.nc.NewInbox(), p.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribing to an inbox: %w", err)
	}
	sub.SetClosedHandler(func(string) { close(p.ended) })
	p.sub = sub
	// Never more than one batch is on its way, so nothing may be dropped for being slow.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribing to an inbox: %w", err)
	}
	return p, nil
}

func (p *pull) receive(m *nats.Msg) {
	p.mu.Lock()
	p.beat = time.Now()
	late := p.late
	switch {
	case m.Reply != "" && late == nil:
		p.got = append(p.got, m)
		p.left--
	case m.Reply == "" && m.Header.Get("Status") != "100":
		p.word, p.left = m, 0
	}
	p.mu.Unlock()
	if m.Reply != "" && late != nil {
		late(m)
	}
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// ask asks for a batch unless one is on its way.
func (p *pull) ask(batch int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 || p.word != nil {
		return nil
	}
	body, err := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{batch, pullExpires, heartbeat})
	if err != nil {
		return err
	}
	p.left, p.beat = batch, time.Now()
	return p.nc.PublishRequest(p.next, p.sub.Subject, body)
}

// take answers the next message, or nil.
func (p *pull) take() *nats.Msg {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		return nil
	}
	m := p.got[0]
	p.got = p.got[1:]
	return m
}

// said answers the server's word that ended the last batch, once: "408", "409", "503" ... and its text.
func (p *pull) said() (code, text string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.word == nil {
		return "", "", false
	}
	w := p.word
	p.word = nil
	return w.Header.Get("Status"), w.Header.Get("Description"), true
}

// refused tells whether a word waits for said.
func (p *pull) refused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.word != nil
}

// silence is how long the server may still be silent before the batch must be given up.
func (p *pull) silence() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.beat.Add(2*heartbeat + heartbeat/2))
}

// drain asks for nothing more; what the server sent before it knew is still received. ended tells when that is over.
func (p *pull) drain() {
	if err := p.sub.Drain(); err != nil {
		_ = p.sub.Unsubscribe()
	}
}

// leave drains, and gives all that was not taken and what still comes to late.
func (p *pull) leave(late func(*nats.Msg)) {
	p.mu.Lock()
	got := p.got
	p.got, p.late = nil, late
	p.mu.Unlock()
	p.drain()
	for _, m := range got {
		late(m)
	}
}
