package agent

import (
	"syscall"
	"time"

	"curfew/worker/process"
)

// DefaultGrace is how long an agent has to end after its stop signal where the
// configuration does not say.
const DefaultGrace = 10 * time.Second

// Agent is one entry of the configuration's agents. It is read only once
// Resolve has been called and may then be used from any goroutine.
type Agent struct {
	Name               string
	Command            []string          // always the same argument vector; or First and Resume
	First              []string          // until a job of the session has succeeded
	Resume             []string          // afterwards
	Events             string            // how to read the output; "" means "plain"
	EnvPass            []string          // names handed on from the worker's environment
	EnvSet             map[string]string // set as given, over EnvPass
	Workdir            string            // absolute; "" a folder per session, made by the worker
	StopSignal         syscall.Signal    // first step of a stop; 0 means SIGTERM
	Grace              time.Duration     // from the stop signal to SIGKILL; 0 at once
	Timeout            time.Duration     // of one run; 0 up to the curfew
	FirstOutputTimeout time.Duration     // 0 none
	IdleTimeout        time.Duration     // 0 none
	MaxAge             time.Duration     // of a session; 0 the worker's
	BudgetUSD          float64           // of a session; 0 none
	Exits              []ExitRule
	User, Group        string         // name or number; "" as the worker. Resolve looks them up
	Limits             process.Limits // Credential is set by Resolve

	programs map[string]string // argv[0] as configured -> absolute path; set by Resolve
}

// ExitRule says what an exit code of this agent means.
type ExitRule struct {
	Code   int
	Action Action
}

// Action is what an exit rule makes of a job.
type Action string

// The actions an exit rule can name.
const (
	ActionSucceed Action = "succeed" // the job is done
	ActionDead    Action = "dead"    // the job failed and is set aside
	ActionRetry   Action = "retry"   // as a crash: counted, backed off, tried again
	ActionSuspend Action = "suspend" // the agent cannot work (quota, authentication): suspend it
)

// Rule is the configured meaning of an exit code, if there is one.
func (a *Agent) Rule(code int) (Action, bool) {
	for _, r := range a.Exits {
		if r.Code == code {
			return r.Action, true
		}
	}
	return "", false
}
