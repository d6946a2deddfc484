package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// natsCluster is three nats-servers. Each dials each other one over a link that can be cut.
type natsCluster struct {
	t       *testing.T
	servers []*natsServer // n1, n2, n3
	links   map[[2]int]*link
}

func newNATSCluster(t *testing.T) *natsCluster {
	t.Helper()
	dir, err := os.MkdirTemp(lab.dir, "cluster") //nolint:usetesting // stays with the test run's files, which can be kept
	require.NoError(t, err)
	c := &natsCluster{t: t, links: map[[2]int]*link{}}
	var routePorts []int
	for range 3 {
		port, err := freePort()
		require.NoError(t, err)
		routePorts = append(routePorts, port)
	}
	nowhere, err := freePort()
	require.NoError(t, err)
	for i := range 3 {
		var routes []string
		for j := range 3 {
			if i == j {
				continue
			}
			k := newLink(t, hostPort(routePorts[j]))
			c.links[[2]int{i, j}] = k
			routes = append(routes, "nats-route://"+k.addr)
		}
		s := &natsServer{lab: lab, dir: filepath.Join(dir, c.name(i))}
		require.NoError(t, os.Mkdir(s.dir, 0o700))
		s.port, err = freePort()
		require.NoError(t, err)
		// The servers tell each other their addresses and would go round the links: so each tells one where nobody is.
		conf := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:%d\nmax_payload: %d\njetstream {store_dir: %q}\n"+
			"cluster {name: c, listen: 127.0.0.1:%d, advertise: \"127.0.0.1:%d\", no_advertise: true, routes: [%s]}\n",
			c.name(i), s.port, maxPayload, filepath.Join(s.dir, "jetstream"), routePorts[i], nowhere, strings.Join(routes, ", "))
		require.NoError(t, os.WriteFile(s.config(), []byte(conf), 0o600))
		require.NoError(t, s.launch())
		t.Cleanup(s.kill)
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		require.NoError(t, s.await())
	}
	c.untilPlaced()
	return c
}

func (c *natsCluster) name(i int) string { return fmt.Sprint("n", i+1) }

// url names every server, as an operator would.
func (c *natsCluster) url() string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.url())
	}
	return strings.Join(all, ",")
}

// untilPlaced waits until the three know of each other: a stream with three replicas can be made.
func (c *natsCluster) untilPlaced() {
	c.t.Helper()
	nc, err := nats.Connect(c.servers[0].url())
	require.NoError(c.t, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	require.NoError(c.t, err)
	conf := streamConfig("PROBE", "probe")
	conf.Replicas = 3
	require.True(c.t, poll(2*patience, func() bool {
		_, err = js.CreateStream(c.t.Context(), conf)
		return err == nil
	}), "three replicas: %v", err)
	require.NoError(c.t, js.DeleteStream(c.t.Context(), conf.Name))
}

// cut isolates one server from the two others; its clients still reach it.
func (c *natsCluster) cut(i int) {
	for pair, k := range c.links {
		if pair[0] == i || pair[1] == i {
			k.cut()
		}
	}
}

func (c *natsCluster) mend() {
	for _, k := range c.links {
		k.mend()
	}
}

// clusterState is who leads a stream, and whether every replica has all of it.
func (w *world) clusterState(stream string) (leader string, whole bool) {
	ctx, cancel := context.WithTimeout(w.ctx(), 2*time.Second)
	defer cancel()
	s, err := w.js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return "", false
	}
	at := s.CachedInfo().Cluster
	whole = at.Leader != "" && len(at.Replicas) == 2
	for _, peer := range at.Replicas {
		whole = whole && peer.Current && !peer.Offline
	}
	return at.Leader, whole
}

// untilWhole waits until a stream has three replicas that are up to date.
func (w *world) untilWhole(streams ...string) {
	w.t.Helper()
	for _, stream := range streams {
		w.until(2*patience, func() bool { _, whole := w.clusterState(stream); return whole }, "%s has three replicas", stream)
	}
}

// lead makes a server the leader of the streams.
func (w *world) lead(server string, streams ...string) {
	w.t.Helper()
	for _, stream := range streams {
		w.until(2*patience, func() bool {
			leader, _ := w.clusterState(stream)
			if leader == server {
				return true
			}
			_, _ = w.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, []byte(fmt.Sprintf(`{"placement":{"preferred":%q}}`, server)), time.Second)
			return poll(3*time.Second, func() bool { leader, _ = w.clusterState(stream); return leader == server })
		}, "%s leads %s", server, stream)
	}
}

// untilLedByOther waits until the streams have a leader that is not this one.
func (w *world) untilLedByOther(server string, streams ...string) {
	w.t.Helper()
	for _, stream := range streams {
		w.until(2*patience, func() bool {
			leader, _ := w.clusterState(stream)
			return leader != "" && leader != server
		}, "%s is led by another than %s", stream, server)
	}
}
