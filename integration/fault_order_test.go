package integration

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

var orderFaults = []fault{
	{name: "cancelled while its jobs go round and are published", excuse: nothing, lease: patientLease, make: of(cancelled{})},
	{name: "curfew while its jobs go round", excuse: nothing, lease: patientLease, make: of(curfewReached{})},
}

// cancelled ends sessions, whose jobs are delivered again to others meanwhile, while their producers go on: the end of a
// session meets new jobs of it.
type cancelled struct {
	earlyRedelivery
	sessions []string
}

func (f *cancelled) Inject(r *rig) {
	f.earlyRedelivery.Inject(r)
	r.await(func() bool { return len(r.liveRuns()) > 0 }, "a run is live")
	for _, live := range r.liveRuns()[:1] {
		f.sessions = append(f.sessions, live.Session)
		r.must("cancel", live.Session)
	}
	for range 10 {
		for _, s := range f.sessions {
			require.NoError(r.t, r.send(r.job(s, "too late", repeatable())))
		}
	}
}

func (f *cancelled) excuse() excuse {
	return excuse{Ends: []string{"cancelled"}, Sessions: f.sessions}
}

// curfewReached has sessions whose wall clock ends while a run is live, jobs wait, and all of them are delivered again.
type curfewReached struct {
	earlyRedelivery
	live []*job
}

func (f *curfewReached) Inject(r *rig) {
	f.earlyRedelivery.Inject(r)
	for range 2 {
		session := newSession()
		began := createdAgo(4*time.Hour - 3*time.Second)
		live := r.job(session, script("@1 sleep 10m"), began, repeatable(), wants("expired"))
		require.NoError(r.t, r.send(live))
		f.live = append(f.live, live)
		for range 3 {
			require.NoError(r.t, r.send(r.job(session, "waits", repeatable(), neverRuns("expired"))))
		}
	}
	r.await(func() bool {
		return !slices.ContainsFunc(f.live, func(j *job) bool { _, ok := r.final(j); return !ok })
	}, "the curfew")
}
