package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"curfew/queue"
)

// jobLine is one line of a jobs file.
type jobLine struct {
	Session  string `json:"session"`
	Input    string `json:"input"`
	Agent    string `json:"agent"`
	Conflict string `json:"conflict"`
	ID       string `json:"id"`
}

// runFile publishes a file of jobs: all lines are read and checked before the first is sent.
func (p *publishing) runFile(cmd *cobra.Command, given []string) error {
	switch {
	case len(given) > 0:
		return wrong(cmd, "--file names its sessions itself: leave %q out", given[0])
	case p.wait:
		return wrong(cmd, "--wait follows one job: it does not go with --file")
	case p.id != "":
		return wrong(cmd, "--id is for one job: with --file each line has its own")
	case p.createdAt != "":
		return wrong(cmd, "--created-at is for one job: it does not go with --file")
	}
	jobs, err := p.readJobs(cmd)
	if err != nil {
		return err
	}
	c, err := p.app.load(cmd, nil)
	if err != nil {
		return err
	}
	ctx, stop := p.app.interruptible(cmd.Context())
	defer stop()
	q, err := connectQueue(ctx, &c.Config, "curfew publish", p.app.logger(c))
	if err != nil {
		return err
	}
	defer q.Close()
	if err := q.Attach(ctx, q.Names().Jobs); err != nil {
		return err
	}
	for i, job := range jobs {
		done, err := publishOne(ctx, q, job)
		if err != nil {
			return fmt.Errorf("%w\n  %d of %d jobs were published; lines with an id of their own may be published again", err, i, len(jobs))
		}
		if err := p.tell(cmd, done); err != nil {
			return err
		}
	}
	return nil
}

func (p *publishing) readJobs(cmd *cobra.Command) ([]queue.NewJob, error) {
	text, err := p.readFile(cmd)
	if err != nil {
		return nil, err
	}
	var jobs []queue.NewJob
	lines := bufio.NewReader(bytes.NewReader(text))
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if text := bytes.TrimSpace(line); len(text) > 0 {
			job, jerr := p.lineJob(cmd, text)
			if jerr != nil {
				return nil, wrong(cmd, "%s, line %d: %w", p.file, n, jerr)
			}
			jobs = append(jobs, job)
		}
		if errors.Is(err, io.EOF) {
			return jobs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p.file, err)
		}
	}
}

func (p *publishing) readFile(cmd *cobra.Command) ([]byte, error) {
	if p.file == "-" {
		return p.app.stdin(cmd.Context())
	}
	text, err := os.ReadFile(p.file)
	if err != nil {
		return nil, wrong(cmd, "--file: %w", err)
	}
	return text, nil
}

func (p *publishing) lineJob(cmd *cobra.Command, text []byte) (queue.NewJob, error) {
	line := jobLine{Agent: p.agent, Conflict: p.conflict}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		return queue.NewJob{}, fmt.Errorf("must be {\"session\",\"input\",\"agent\",\"conflict\",\"id\"}: %w", err)
	}
	if d.More() {
		return queue.NewJob{}, errors.New("holds more than one value")
	}
	session, err := p.session(cmd, line.Session)
	if err != nil {
		return queue.NewJob{}, errors.Unwrap(err)
	}
	job := queue.NewJob{
		Session: session, ID: jobID(session, line.ID), Agent: line.Agent, Conflict: queue.Conflict(line.Conflict),
		Timeout: p.timeout, Body: []byte(line.Input),
	}
	return job, checkJob(job)
}
