package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errFirst, errSecond = errors.New("first"), errors.New("second")

func TestSpawnErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	plain := write("plain", "#!/bin/sh\n", 0o600)
	noise := write("noise", "\x00\x01 no program", 0o700)
	orphan := write("orphan", "#!/nowhere/interpreter\n", 0o700)
	refusal := errors.New("not now")
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(refusal)

	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a table of calls
		spec Spec
		kind SpawnKind
		is   error
	}{
		"no such program":     {spec: Spec{Path: filepath.Join(dir, "none")}, kind: SpawnMissing, is: syscall.ENOENT},
		"no interpreter":      {spec: Spec{Path: orphan}, kind: SpawnMissing, is: syscall.ENOENT},
		"not executable":      {spec: Spec{Path: plain}, kind: SpawnMissing, is: syscall.EACCES},
		"a folder":            {spec: Spec{Path: dir}, kind: SpawnMissing, is: syscall.EACCES},
		"no program at all":   {spec: Spec{Path: noise}, kind: SpawnMissing, is: syscall.ENOEXEC},
		"below a file":        {spec: Spec{Path: plain + "/x"}, kind: SpawnMissing, is: syscall.ENOTDIR},
		"relative":            {spec: Spec{Path: "sh"}, kind: SpawnMissing, is: errRelative},
		"no working folder":   {spec: Spec{Path: "/bin/sh", Dir: filepath.Join(dir, "none")}, kind: SpawnOther, is: syscall.ENOENT},
		"working folder file": {spec: Spec{Path: "/bin/sh", Dir: plain}, kind: SpawnOther, is: syscall.ENOTDIR},
		"NUL":                 {spec: Spec{Path: "/bin/sh", Args: []string{"a\x00b"}}, kind: SpawnOther, is: syscall.EINVAL},
		"too much":            {spec: Spec{Path: "/bin/sh", Args: []string{strings.Repeat("x", 1<<20)}}, kind: SpawnOther, is: syscall.E2BIG},
		"refused":             {spec: Spec{Path: "/bin/sh", Hooks: Hooks{BeforeSpawn: func(string) error { return refusal }}}, kind: SpawnRefused, is: refusal},
		"context over":        {ctx: gone, spec: Spec{Path: "/bin/sh"}, kind: SpawnRefused, is: refusal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			c.spec.Hooks.Spawned = func(int, int) { t.Error("nothing was spawned") }
			p, err := Start(ctx, c.spec)
			require.Nil(t, p)
			var spawn *SpawnError
			require.ErrorAs(t, err, &spawn)
			require.Equal(t, c.kind, spawn.Kind, err.Error())
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.spec.Path)
		})
	}
}

// What a machine runs out of cannot be had in a test without harm to others.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for errno, want := range map[syscall.Errno]SpawnKind{
		syscall.EAGAIN: SpawnResources, syscall.ENOMEM: SpawnResources, syscall.EMFILE: SpawnResources,
		syscall.ENFILE: SpawnResources, syscall.ENOSPC: SpawnResources,
		syscall.ENOENT: SpawnMissing, syscall.EACCES: SpawnMissing, syscall.ENOEXEC: SpawnMissing, syscall.ENOTDIR: SpawnMissing,
		syscall.EIO: SpawnOther, syscall.ETXTBSY: SpawnOther,
	} {
		require.Equal(t, want, kindOf(&os.PathError{Err: errno}), errno.Error())
	}
	require.Equal(t, SpawnOther, kindOf(errors.New("else")))
}

//nolint:paralleltest // it changes the environment
func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_WORKER", "1")
	for name, more := range map[string][]string{"none": nil, "some": {"A=b", "C=d e"}} {
		t.Run(name, func(t *testing.T) {
			s := child("env")
			s.Env = append(s.Env, more...)
			p, r := run(t, s)
			end(t, p, r)
			require.ElementsMatch(t, s.Env, strings.Split(strings.TrimSpace(r.all()), "\n"))
		})
	}
	t.Run("nil", func(t *testing.T) {
		p, r := run(t, Spec{Path: mustLook(t, "env")})
		end(t, p, r)
		require.Empty(t, r.all())
	})
}

func mustLook(t *testing.T, name string) string {
	t.Helper()
	path, err := LookPath(name)
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(path))
	return path
}

func TestLookPathMissing(t *testing.T) {
	t.Parallel()
	_, err := LookPath("no-such-program-here")
	require.ErrorContains(t, err, "no-such-program-here")
}

// Only the standard files are handed on, not even what the worker itself was
// started with. A C program is asked: a Go one opens some for itself.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	cmd := exec.CommandContext(t.Context(), selfPath())
	cmd.Env = []string{childVar + "=heir"}
	cmd.ExtraFiles = []*os.File{file, file, file}
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2", "3"}, strings.Fields(string(out)), "3 is the folder that ls reads")
}

func TestFolderAndGroup(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	s := child("cwd")
	s.Dir = dir
	p, r := run(t, s)
	end(t, p, r)
	require.Equal(t, dir+"\n", r.all())

	p, r = run(t, child("default"))
	r.await(t, "ready")
	pgid, err := syscall.Getpgid(p.PID())
	require.NoError(t, err)
	require.Equal(t, p.PID(), pgid)
	require.NotEqual(t, syscall.Getpgrp(), pgid)
}

// A request that waits behind a slow one goes away with its context.
func TestWaitForSpawner(t *testing.T) {
	t.Parallel()
	sp := newSpawner(groupByFDSupported())
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		s := child("exit", "0")
		s.Hooks.BeforeSpawn = func(string) error { close(entered); <-leave; return errFirst }
		_, err := sp.start(t.Context(), s)
		if !errors.Is(err, errFirst) {
			t.Error(err)
		}
		close(left)
	}()
	<-entered
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(errSecond) })
	_, err := sp.start(ctx, child("exit", "0"))
	require.ErrorIs(t, err, errSecond)
	close(leave)
	<-left
}

func TestHooks(t *testing.T) {
	t.Parallel()
	var order []string
	var spawned [2]int
	s := child("exit", "0")
	s.Hooks = Hooks{
		BeforeSpawn: func(string) error { order = append(order, "before"); return nil },
		Spawned:     func(pid, pidfd int) { order = append(order, "spawned"); spawned = [2]int{pid, pidfd} },
		Exited:      func() { order = append(order, "exited") },
	}
	p, r := run(t, s)
	end(t, p, r)
	require.Equal(t, []string{"before", "spawned", "exited"}, order)
	require.Equal(t, p.PID(), spawned[0])
	if groupByFDSupported() {
		require.Positive(t, spawned[1])
	}
}
