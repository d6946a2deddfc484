package doctor

import (
	"context"
	"fmt"
	"time"
)

// noticeable is how far clocks may differ before it is worth a word.
const noticeable = 500 * time.Millisecond

// compareClocks compares this host's clock with a server's. How long the answer took is in nobody's favour: a difference
// counts only as far as it is certain.
func (v *visit) compareClocks(ctx context.Context, whose string, ask func(context.Context) (time.Time, error)) (Finding, error) {
	before := v.Now()
	theirs, err := ask(ctx)
	after := v.Now()
	if err != nil {
		return Finding{}, &notCheckedError{fmt.Sprintf("%s does not tell its time (%v)", whose, err)}
	}
	var off time.Duration
	switch {
	case theirs.Before(before):
		off = before.Sub(theirs)
	case theirs.After(after):
		off = -theirs.Sub(after)
	}
	f := Finding{Seen: fmt.Sprintf("this host's clock is %s", differs(off, whose))}
	if off.Abs() >= noticeable {
		f.Verdict, f.Mend = Warn, "let NTP or chrony keep the clocks of this host and of the servers"
	}
	if off.Abs() >= v.Terms.Margin {
		f.Verdict = Fail
		f.Seen += fmt.Sprintf("; lease.margin is %s", v.Terms.Margin)
	}
	return f, nil
}

func differs(off time.Duration, whose string) string {
	switch {
	case off >= noticeable:
		return fmt.Sprintf("%s ahead of %s's", off.Round(100*time.Millisecond), whose)
	case off <= -noticeable:
		return fmt.Sprintf("%s behind %s's", (-off).Round(100*time.Millisecond), whose)
	default:
		return "the same as " + whose + "'s"
	}
}
