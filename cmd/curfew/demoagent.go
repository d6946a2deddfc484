package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// demoAgentCommand is a stand-in for an agent: it reads its prompt, says a few lines over a short time and ends well,
// unless the prompt says otherwise. It is hidden because nobody needs it by hand.
func (a *app) demoAgentCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "demo-agent",
		Short:  "The built-in demonstration agent: reads a prompt, obeys it, ends",
		Hidden: true,
		Long: "Reads its prompt from standard input. Parts of it, separated by line ends or semicolons, may be directives:\n" +
			"  sleep 5s      wait\n  lines 10      print ten lines\n  exit 3        end with this code\n  term          die by SIGTERM\n" +
			"  ignore-term   go on after a SIGTERM\n  needs FILE    end with code 3 unless the file exists\n" +
			"Anything else is answered.",
		Example: "  echo 'lines 3; sleep 2s; exit 3' | curfew demo-agent",
		Args:    cobra.ArbitraryArgs,
		RunE:    a.demoAgent,
	}
}

const (
	demoPace     = 150 * time.Millisecond // between two lines
	demoLines    = 3
	maxDemoInput = 1 << 20
)

func (a *app) demoAgent(cmd *cobra.Command, _ []string) error {
	// It has to die by the signals that main catches, also by one that came before this line.
	signal.Reset(syscall.SIGTERM, syscall.SIGINT)
	select {
	case s := <-a.signals:
		if n, ok := s.(syscall.Signal); ok {
			return dieBy(cmd.Context(), n)
		}
	default:
	}
	prompt, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxDemoInput))
	if err != nil {
		return fmt.Errorf("read the prompt: %w", err)
	}
	if strings.Contains(string(prompt), "ignore-term") { // before anybody can see that this run lives
		signal.Ignore(syscall.SIGTERM)
	}
	over, err := a.witnessed()
	if err != nil {
		return err
	}
	defer over()
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "demo agent: process %d, session %s, attempt %s\n", os.Getpid(), a.getenv("CURFEW_SESSION"), a.getenv("CURFEW_ATTEMPT"))
	return obey(cmd.Context(), out, string(prompt))
}

// obey goes through the prompt. Text is answered; when there is no directive at all, over a short time.
func obey(ctx context.Context, out io.Writer, prompt string) error {
	obeyed := false
	for part := range strings.FieldsFuncSeq(prompt, func(r rune) bool { return r == '\n' || r == ';' }) {
		part = strings.TrimSpace(part)
		word, rest, _ := strings.Cut(part, " ")
		d, ok := directives()[word]
		if !ok {
			if part != "" {
				fmt.Fprintf(out, "you said: %s\n", part)
			}
			continue
		}
		obeyed = true
		if err := d(ctx, out, strings.TrimSpace(rest)); err != nil {
			return err
		}
	}
	if !obeyed {
		return demoTalk(ctx, out, strconv.Itoa(demoLines))
	}
	return nil
}

type directive func(ctx context.Context, out io.Writer, arg string) error

func directives() map[string]directive {
	return map[string]directive{
		"sleep": demoSleep,
		"lines": demoTalk,
		"exit": func(_ context.Context, _ io.Writer, arg string) error {
			code, err := strconv.Atoi(arg)
			if err != nil {
				return fmt.Errorf("exit %q: must be a number", arg)
			}
			return &endedError{code: code}
		},
		"term":        func(ctx context.Context, _ io.Writer, _ string) error { return dieBy(ctx, syscall.SIGTERM) },
		"ignore-term": func(context.Context, io.Writer, string) error { return nil }, // obeyed from the start
		"needs": func(_ context.Context, out io.Writer, arg string) error {
			if _, err := os.Stat(arg); err != nil {
				fmt.Fprintf(out, "%s is missing\n", arg)
				return &endedError{code: 3}
			}
			return nil
		},
	}
}

func demoSleep(ctx context.Context, _ io.Writer, arg string) error {
	d, err := time.ParseDuration(arg)
	if err != nil {
		return fmt.Errorf("sleep %q: must be a duration, as 5s", arg)
	}
	rest(ctx, d)
	return nil
}

func demoTalk(ctx context.Context, out io.Writer, arg string) error {
	n, err := strconv.Atoi(arg)
	if err != nil {
		return fmt.Errorf("lines %q: must be a number", arg)
	}
	for i := range n {
		fmt.Fprintf(out, "working: %d of %d\n", i+1, n)
		rest(ctx, demoPace)
	}
	return nil
}

// dieBy ends this process by a signal, as a program without a handler does.
func dieBy(ctx context.Context, s syscall.Signal) error {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		return fmt.Errorf("kill myself: %w", err)
	}
	rest(ctx, time.Minute) // the signal needs a moment
	return fmt.Errorf("survived %s", s)
}
