package queue

import "context"

// Depth is how much the streams hold.
type Depth struct {
	Jobs    uint64 // in the jobs stream: waiting and running; a few wakes count as well
	Letters uint64 // dead letters that nobody has replayed or dropped
}

// Depth asks for both; it is cheap, however much there is.
func (q *Queue) Depth(ctx context.Context) (Depth, error) {
	jobs, err := q.streamInfo(ctx, q.names.Jobs)
	if err != nil {
		return Depth{}, err
	}
	dead, err := q.streamInfo(ctx, q.names.Dead)
	if err != nil {
		return Depth{}, err
	}
	return Depth{Jobs: jobs.State.Msgs, Letters: dead.State.Msgs}, nil
}
