package integration

import (
	"testing"
)

// cgroups says whether a worker may give its runs cgroups of their own, where this machine has them.
func cgroups(may bool) workerOptions {
	if may {
		return workerOptions{}
	}
	return workerOptions{env: []string{"CURFEW_TEST_NO_CGROUP=1"}}
}

// needCgroup skips what is about cgroups where the worker got none, and refuses a worker that has one and should not.
func needCgroup(t *testing.T, x *worker, want bool) {
	t.Helper()
	switch has := x.cgroup() != ""; {
	case want && !has:
		t.Skip("no cgroup v2 to be had here: what follows is covered without one")
	case !want && has:
		t.Fatal("the worker has a cgroup and should do without")
	}
}
