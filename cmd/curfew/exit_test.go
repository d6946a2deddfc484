package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/config"
	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"nothing":                      {nil, 0},
		"anything":                     {errors.New("x"), 1},
		"wrong usage":                  {&usageError{err: errors.New("x")}, 2},
		"configuration":                {&config.Error{}, 2},
		"no configuration":             {config.ErrNoFile, 2},
		"an agent's program":           {&agent.MissingError{Err: errors.New("x")}, 2},
		"an agent's user":              {&agent.UserError{Err: errors.New("x")}, 2},
		"an agent's limits":            {&agent.LimitError{Err: errors.New("x")}, 2},
		"other lease terms":            {&queue.TermsError{}, 2},
		"streams that differ":          {&queue.DifferError{}, 2},
		"a job that is not understood": {&queue.InvalidError{}, 2},
		"no such message":              {queue.ErrNoMessage, 3},
		"no such session":              {registry.ErrNoSession, 3},
		"no run to stop":               {registry.ErrNoRun, 3},
		"not found":                    {errNotFound, 3},
		"NATS away":                    {&queue.UnreachableError{Err: errors.New("x")}, 4},
		"Redis away":                   {&registry.UnreachableError{Err: errors.New("x")}, 4},
		"Redis refuses":                {&registry.UnavailableError{Err: errors.New("x")}, 4},
		"NATS gone meanwhile":          {queue.ErrDisconnected, 4},
		"no answer":                    {context.DeadlineExceeded, 4},
		"a full backlog":               {queue.ErrBacklogFull, 1},
		"a session that is over":       {registry.ErrOver, 1},
		"not set up":                   {queue.ErrNotSetUp, 1},
		"a job's end":                  {&endedError{code: 12}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, exitCode(c.err))
			if c.err != nil {
				require.Equal(t, c.want, exitCode(fmt.Errorf("while doing something: %w", c.err)), "wrapped")
			}
		})
	}
}
