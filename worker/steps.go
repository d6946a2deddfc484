package worker

// step names a place in a job's life at which a test may kill the worker, or keep it waiting.
type step string

const (
	stepOpen       step = "open"
	stepSpawn      step = "spawn"
	stepExit       step = "exit"
	stepClose      step = "close"
	stepTombstone  step = "tombstone"
	stepDeadLetter step = "deadletter"
	stepEvent      step = "event"
	stepRemove     step = "remove"
	stepLeave      step = "leave" // the last look at the stream found nothing
	stepAnnounce   step = "announce"
	stepRelease    step = "release"
)
