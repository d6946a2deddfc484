package agent

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"curfew/worker/process"
)

// UserError says why an agent cannot run as the user that is configured.
type UserError struct {
	Agent string
	Key   string // user or group
	Name  string // as configured
	Err   error
}

func (e *UserError) Error() string {
	return fmt.Sprintf("agents.%s.%s: %q: %v", e.Agent, e.Key, e.Name, e.Err)
}

func (e *UserError) Unwrap() error { return e.Err }

// resolveUser turns user and group into numbers. The further groups are the
// user's own, as at a login.
func (a *Agent) resolveUser() error {
	if a.User == "" {
		return nil
	}
	if os.Geteuid() != 0 {
		return &UserError{a.Name, "user", a.User, errNotRoot}
	}
	c := &process.Credential{}
	known, err := user.Lookup(a.User)
	if err != nil {
		known, err = user.LookupId(a.User)
	}
	if err == nil {
		if c.UID, c.GID, c.Groups, err = numbersOf(known); err != nil {
			return &UserError{a.Name, "user", a.User, err}
		}
	} else { // a number that this host has no name for is fine, with its group
		if c.UID, err = number(a.User); err != nil {
			return &UserError{a.Name, "user", a.User, errors.New("there is no such user on this host: add it, or give its number")}
		}
		if a.Group == "" {
			return &UserError{a.Name, "user", a.User, errors.New("this host knows no user of that number, so its group has to be given: set group")}
		}
	}
	if a.Group != "" {
		if c.GID, err = groupNumber(a.Group); err != nil {
			return &UserError{a.Name, "group", a.Group, errors.New("there is no such group on this host: add it, or give its number")}
		}
	}
	a.Limits.Credential = c
	return nil
}

func numbersOf(u *user.User) (uid, gid uint32, groups []uint32, err error) {
	if uid, err = number(u.Uid); err != nil {
		return 0, 0, nil, err
	}
	if gid, err = number(u.Gid); err != nil {
		return 0, 0, nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return 0, 0, nil, fmt.Errorf("look up its groups: %w", err)
	}
	for _, id := range ids {
		g, err := number(id)
		if err != nil {
			return 0, 0, nil, err
		}
		groups = append(groups, g)
	}
	return uid, gid, groups, nil
}

func groupNumber(name string) (uint32, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return number(g.Gid)
	}
	return number(name)
}

// number is a user's or a group's; the largest one means "leave as it is" to the kernel.
func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && n == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(n), err
}
