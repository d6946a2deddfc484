package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browserPatience bounds the start of a browser and each step in it: on a loaded machine it takes long.
const browserPatience = 120 * time.Second

// browser is a tab of a real, headless browser.
type browser struct {
	w   *world
	ctx context.Context //nolint:containedctx // chromedp keeps the tab in a context

	mu       sync.Mutex
	problems []string // what the console said
}

// browserPath is where a browser that chromedp can drive is, "" nowhere.
func browserPath() string {
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// needBrowser skips a scenario that looks at the page where there is no browser to look with.
func needBrowser(tb testing.TB) {
	tb.Helper()
	switch {
	case browserPath() != "":
	case strings.Contains(os.Getenv("CURFEW_TEST_REQUIRE"), "chromium"):
		tb.Fatal("CURFEW_TEST_REQUIRE asks for chromium and it is not in PATH: install it")
	default:
		tb.Skip("chromium is not in PATH and this scenario looks at the page in a browser: install it to run this")
	}
}

// browse starts a browser; it ends with the test.
func (w *world) browse() *browser {
	w.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browserPath()),
		chromedp.NoSandbox, // it is root's in most containers, and visits nothing but this test's pages
		chromedp.Flag("disable-gpu", true),
		chromedp.UserDataDir(filepath.Join(w.dir, "browser")),
		chromedp.WindowSize(1200, 1000),
		chromedp.WSURLReadTimeout(browserPatience),
	)
	allocated, end := chromedp.NewExecAllocator(context.WithoutCancel(w.ctx()), options...)
	tab, closeTab := chromedp.NewContext(allocated)
	w.t.Cleanup(func() { closeTab(); end() })
	b := &browser{w: w, ctx: tab}
	started := make(chan error, 1)
	go func() { started <- chromedp.Listen(tab, b.heard) }() // without a bound of its own: the browser ends with it
	select {
	case err := <-started:
		require.NoError(w.t, err, "start the browser")
	case <-time.After(browserPatience):
		require.FailNow(w.t, "the browser did not start within "+browserPatience.String())
	}
	return b
}

// heard keeps what a page may not say: exceptions, and what its content security policy refused.
func (b *browser) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Source == "security" || strings.Contains(e.Entry.Text, "Content Security Policy") {
			b.problems = append(b.problems, e.Entry.Text)
		}
	}
}

func perform[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.w.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.w.t, err, what)
	return v
}

// visit opens a page.
func (b *browser) visit(url string) {
	b.w.t.Helper()
	perform(b, "open "+url, chromedp.Navigate(url))
}

// value is what an expression of JavaScript is in the page now.
func value[T any](b *browser, expression string) T {
	b.w.t.Helper()
	return perform(b, expression, chromedp.Evaluate[T](expression))
}

// act runs JavaScript in the page.
func (b *browser) act(script string) {
	b.w.t.Helper()
	value[bool](b, "(() => {"+script+"; return true })()")
}

// until waits for an expression to become true in the page.
func (b *browser) until(what, expression string) {
	b.w.t.Helper()
	if !poll(browserPatience, func() bool { return value[bool](b, "Boolean("+expression+")") }) {
		require.FailNow(b.w.t, "the page never shows: "+what, value[string](b, "document.body.innerText"))
	}
}

// row is an expression for the part of a session's row that a selector names.
func row(session, part string) string {
	return fmt.Sprintf(`document.querySelector('#session-rows tr[data-key=%q]%s')`, session, part)
}

// shoot keeps a picture of the whole page as a test artefact.
func (b *browser) shoot(name, scheme string, width int64) {
	b.w.t.Helper()
	perform(b, "emulate", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
	perform(b, "resize", chromedp.EmulateViewport(width, 1000))
	picture := perform(b, "take a picture", chromedp.FullScreenshot(100))
	require.NotEmpty(b.w.t, picture)
	file := filepath.Join(artefacts(b.w.t), name+".png")
	require.NoError(b.w.t, os.WriteFile(file, picture, 0o600))
	b.w.t.Log("picture: ", file)
}

// artefacts is the folder for what a person may want to look at after the test.
func artefacts(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("CURFEW_TEST_ARTEFACTS"); dir != "" {
		require.NoError(tb, os.MkdirAll(dir, 0o700))
		return dir
	}
	return tb.ArtifactDir()
}
