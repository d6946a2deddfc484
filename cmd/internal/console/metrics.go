package console

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Sources is what the metrics are read from, at each scrape.
type Sources struct {
	NATSUp  func() bool
	RedisUp func() bool
	Live    func() int             // sessions with a live subprocess on this worker
	Slots   func() (busy, all int) // of this worker
	More    []prometheus.Collector // what the worker counts itself
}

const namespace = "curfew"

// NewMetrics is a registry of its own, so that several workers fit into one process.
func NewMetrics(s Sources) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("nats_up", "1 while NATS is connected.", func() float64 { return number(s.NATSUp()) }),
		gauge("redis_up", "1 while Redis answers.", func() float64 { return number(s.RedisUp()) }),
		gauge("live_sessions", "Sessions with a live subprocess on this worker.", func() float64 { return float64(s.Live()) }),
		slots("busy", func() int { busy, _ := s.Slots(); return busy }),
		slots("free", func() int { busy, all := s.Slots(); return all - busy }),
	)
	r.MustRegister(s.More...)
	return r
}

func gauge(name, help string, f func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, f)
}

// slots is one state of this worker's slots: together they are its concurrency.
func slots(state string, f func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "slots", ConstLabels: prometheus.Labels{"state": state},
		Help: "Slots of this worker: a busy one has a session, from before its subprocess starts until it is settled.",
	}, func() float64 { return float64(f()) })
}

func number(up bool) float64 {
	if up {
		return 1
	}
	return 0
}
