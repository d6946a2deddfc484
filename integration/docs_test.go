package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the documentation shows is what is tested: these read its blocks.

func document(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", name))
	require.NoError(tb, err)
	return string(text)
}

// block is the fenced block of a document in this language that begins with this line.
func block(tb testing.TB, name, language, first string) string {
	tb.Helper()
	for _, b := range blocks(document(tb, name), language) {
		if strings.HasPrefix(b, first+"\n") {
			return b
		}
	}
	require.FailNow(tb, "no such block", "docs/%s has no block of %s that begins with %q", name, language, first)
	return ""
}

// blocks are all fenced blocks in this language.
func blocks(text, language string) []string {
	var out []string
	for {
		_, rest, found := strings.Cut(text, "\n```"+language+"\n")
		if !found {
			return out
		}
		var b string
		if b, text, found = strings.Cut(rest, "\n```"); !found {
			return out
		}
		out = append(out, b+"\n")
	}
}
