package console

import (
	"fmt"
	"strings"
	"time"

	"curfew/cmd/internal/board"
)

// chart is the queue's depth as a drawing of 600 by 100, and in words.
type chart struct {
	Text   string
	Pieces []piece // a gap between two is where nobody answered
}

// piece is the points of a line and of the area below it.
type piece struct{ Line, Area string }

const (
	chartWidth, chartHeight = 600.0, 96.0
	chartFoot               = 99.0
	chartSpan               = time.Hour
	chartGap                = 45 * time.Second // points that lie further apart are not joined
)

func chartOf(points []board.Point, now time.Time) chart {
	if len(points) == 0 {
		return chart{Text: "How many jobs there are has not been seen yet."}
	}
	var peak uint64
	for _, p := range points {
		peak = max(peak, p.Jobs)
	}
	last := points[len(points)-1]
	c := chart{Text: fmt.Sprintf("Jobs in the queue, running ones included, over the last hour as this worker saw it: %d now, %d at most.", last.Jobs, peak)}
	from := 0
	for i := 1; i <= len(points); i++ {
		if i == len(points) || points[i].At.Sub(points[i-1].At) > chartGap {
			c.Pieces = append(c.Pieces, pieceOf(points[from:i], now, max(peak, 1)))
			from = i
		}
	}
	return c
}

func pieceOf(points []board.Point, now time.Time, peak uint64) piece {
	x := func(p board.Point) float64 {
		return chartWidth * (1 - float64(now.Sub(p.At))/float64(chartSpan))
	}
	var line strings.Builder
	for _, p := range points {
		fmt.Fprintf(&line, "%.1f,%.1f ", x(p), chartFoot-chartHeight*float64(p.Jobs)/float64(peak))
	}
	text := strings.TrimSuffix(line.String(), " ")
	return piece{text, fmt.Sprintf("%.1f,%.0f %s %.1f,%.0f", x(points[0]), chartFoot, text, x(points[len(points)-1]), chartFoot)}
}
