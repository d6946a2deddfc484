package registry

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/acquire.lua
var acquireSource string

//go:embed lua/renew.lua
var renewSource string

//go:embed lua/release.lua
var releaseSource string

// scripts are the three of lua/; each file says what goes in and what comes out.
type scripts struct{ acquire, renew, release *redis.Script }

func newScripts() scripts {
	return scripts{redis.NewScript(withBugs(acquireSource)), redis.NewScript(renewSource), redis.NewScript(releaseSource)}
}

// withBugs is the script itself, except where a test took a guard out of it.
func withBugs(acquire string) string {
	for b, guard := range map[bug]string{
		bugUntil:   "if over > now then",
		bugUnclean: "if since + ttl > now then",
	} {
		if planted(b) {
			acquire = strings.Replace(acquire, guard, "if false then", 1)
		}
	}
	return acquire
}

// load puts a script into the cache of every master: pipelines can only name
// scripts, and a server that has just started knows none.
func (r *Redis) load(ctx context.Context, s *redis.Script) error {
	if c, ok := r.client.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error {
			return s.Load(ctx, m).Err()
		})
	}
	return s.Load(ctx, r.client).Err()
}

// node is the connection to the one server that has the key: with a Cluster,
// the cluster's own client sends again by itself what got no answer.
func (r *Redis) node(ctx context.Context, key string) (redis.Scripter, error) {
	if c, ok := r.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, key)
	}
	return r.client, nil
}

// answered tells whether an error is Redis' own word, so that the request has
// arrived and its answer is known, from one that leaves it open.
func answered(err error) bool {
	var own redis.Error
	return errors.As(err, &own)
}

func noScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// moved: the cluster has changed, another node has the key; nothing was done.
func moved(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK")
}

// reply is what every script answers. Fields that a script leaves out are 0.
type reply struct {
	word     string
	now      time.Time // Redis TIME, to the millisecond
	wait     time.Duration
	knock    int64
	knockSeq uint64
}

var errReply = errors.New("redis answered what no script of this version answers: is another program using its keys?")

func parseReply(v any, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	f, _ := v.([]any)
	if len(f) != 2 && len(f) != 5 {
		return reply{}, fmt.Errorf("%w: %d fields", errReply, len(f))
	}
	var r reply
	var ok bool
	if r.word, ok = f[0].(string); !ok {
		return reply{}, fmt.Errorf("%w: no word", errReply)
	}
	now, ok := f[1].(int64)
	if !ok {
		return reply{}, fmt.Errorf("%w: no time", errReply)
	}
	r.now = time.UnixMilli(now)
	if len(f) == 2 {
		return r, nil
	}
	wait, okWait := f[2].(int64)
	knock, okKnock := f[3].(int64)
	seq, okSeq := f[4].(string)
	if !okWait || !okKnock || !okSeq {
		return reply{}, fmt.Errorf("%w: %v", errReply, f[2:])
	}
	if r.knockSeq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return reply{}, fmt.Errorf("%w: knock_seq: %w", errReply, err)
	}
	r.wait, r.knock = max(0, time.Duration(wait)*time.Millisecond), knock
	return r, nil
}
