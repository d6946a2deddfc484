package process

import "sync"

const (
	smallBuffer = 4 << 10
	bigBuffer   = 64 << 10 // the size of a chunk
)

// buffers are shared by all outputs, in two sizes: thousands of subprocesses
// that each say little must not cost a full chunk each.
type buffers struct {
	small, big sync.Pool // of *[smallBuffer]byte, *[bigBuffer]byte
}

func (b *buffers) takeSmall() []byte {
	if a, ok := b.small.Get().(*[smallBuffer]byte); ok {
		return a[:]
	}
	return new([smallBuffer]byte)[:]
}

func (b *buffers) takeBig() []byte {
	if a, ok := b.big.Get().(*[bigBuffer]byte); ok {
		return a[:]
	}
	return new([bigBuffer]byte)[:]
}

func (b *buffers) put(buf []byte) {
	switch len(buf) {
	case smallBuffer:
		b.small.Put((*[smallBuffer]byte)(buf))
	case bigBuffer:
		b.big.Put((*[bigBuffer]byte)(buf))
	}
}

// makeRoom sees to it that a read has somewhere to go.
func (o *output) makeRoom() {
	switch {
	case o.buf == nil:
		o.buf = o.pool.takeSmall()
	case o.n == smallBuffer && len(o.buf) == smallBuffer:
		big := o.pool.takeBig()
		copy(big, o.buf)
		o.pool.put(o.buf)
		o.buf = big
	}
}

// release gives an empty buffer back.
func (o *output) release() {
	if o.buf != nil && o.n == 0 {
		o.pool.put(o.buf)
		o.buf = nil
	}
}
