// Package browsertest starts a real Chromium for tests of pages, and watches
// what a page must never do: log an error, or ask another host for something.
package browsertest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// find returns the path of Chromium. Where there is none the test is skipped,
// or fails where the environment variable CI is true.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "CHROMIUM IS MISSING: the page is not tested; install the package chromium"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Browser is one running Chromium with a profile of its own.
type Browser struct {
	ctx context.Context
}

// Start starts Chromium, which ends with the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(find(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(2 * timeout),
	}
	for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
		"disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, quit := chromedp.NewContext(allocator)
	t.Cleanup(quit)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return &Browser{ctx}
}

const timeout = 30 * time.Second

// Page is one tab. What goes wrong in it fails the test at its end.
type Page struct {
	t       testing.TB
	ctx     context.Context
	origins []string

	mu    sync.Mutex
	wrong []string
}

// Open opens a tab that may ask the given origins alone, such as
// http://127.0.0.1:8090. Any other request, any exception and any error or
// warning in the console fails the test.
func (b *Browser) Open(t testing.TB, origins ...string) *Page {
	t.Helper()
	tab, closeTab := chromedp.NewContext(b.ctx)
	p := &Page{t: t, ctx: tab, origins: origins}
	t.Cleanup(func() {
		closeTab()
		for _, text := range p.Forgive() {
			t.Errorf("the page: %s", text)
		}
	})
	if err := chromedp.Listen(tab, p.watch); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	_, err := chromedp.Call(tab, network.Enable, network.EnableParams{})
	p.must(err, "watching the network")
	_, err = chromedp.Call(tab, log.Enable, cdp.Empty{})
	p.must(err, "watching the log")
	return p
}

// Forgive forgets what went wrong so far and returns it, for a test that means
// it to happen.
func (p *Page) Forgive() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	wrong := p.wrong
	p.wrong = nil
	return wrong
}

// Size sets the size of the window, as that of a phone or not.
func (p *Page) Size(width, height int, phone bool) {
	p.t.Helper()
	var opts []chromedp.EmulateViewportOption
	if phone {
		opts = append(opts, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2))
	}
	run(p, "resizing", chromedp.EmulateViewport(int64(width), int64(height), opts...))
}

// AllowClipboard lets the page write to and read from the clipboard.
func (p *Page) AllowClipboard() {
	p.t.Helper()
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name},
			Setting:    browser.PermissionSettingGranted,
		})
		p.must(err, "allowing "+name)
	}
}

// Go opens a URL.
func (p *Page) Go(to string) {
	p.t.Helper()
	run(p, "opening "+to, chromedp.Navigate(to))
}

// Click clicks the middle of what a CSS selector finds first, as a user does. Where the
// page has moved that meanwhile, nothing gets the click, and it is made again.
func (p *Page) Click(selector string) {
	p.t.Helper()
	aim := fmt.Sprintf(`
		window.aim?.abort()
		window.aim = new AbortController()
		window.missed = false
		for (const type of ["pointerdown", "mousedown", "pointerup", "mouseup", "click"]) {
			addEventListener(type, (event) => {
				if (type === "click") aim.abort()
				missed ||= !document.querySelector(%q)?.contains(event.target)
				if (!missed) return
				event.preventDefault()
				event.stopImmediatePropagation()
			}, {capture: true, signal: window.aim.signal})
		}`, selector)
	for until := time.Now().Add(timeout); ; {
		run(p, "aiming at "+selector, chromedp.Evaluate[chromedp.Void](aim))
		run(p, "clicking "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
		switch missed := run(p, "clicking "+selector, chromedp.Evaluate[bool]("window.missed === true")); {
		case !missed:
			return
		case time.Now().After(until):
			p.t.Fatalf("clicking %s: something else is there", selector)
		}
	}
}

// Type puts text into a field as a user does, after what stands in it.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	run(p, "typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press sends keys to what has the focus; package kb of chromedp names those
// that are no letters. A key that the page takes for itself writes no letter:
// chromedp's own KeyEvent sends the letter all the same.
func (p *Page) Press(keys string) {
	p.t.Helper()
	for _, key := range keys {
		events := kb.Encode(key)
		down, up := events[0], events[len(events)-1]
		if len(events) == 3 {
			down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
		}
		for _, event := range []*input.DispatchKeyEventParams{down, up} {
			_, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, *event)
			p.must(err, "pressing "+strconv.QuoteRune(key))
		}
	}
}

// Choose sets the value of a field, such as a select, and says that it changed.
func (p *Page) Choose(selector, value string) {
	p.t.Helper()
	p.Until(fmt.Sprintf(`(() => {
		const field = document.querySelector(%q)
		if (!field) return false
		field.value = %q
		field.dispatchEvent(new Event("input", {bubbles: true}))
		field.dispatchEvent(new Event("change", {bubbles: true}))
		return field.value === %q
	})()`, selector, value, value))
}

// Until waits for a JavaScript expression to be true; it is not while it throws, as
// where an element has yet to come. The test fails after half a minute.
func (p *Page) Until(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*timeout)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool]("(async () => { try { return await ("+expression+") } catch { return false } })()",
		chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(timeout)))
	if err != nil {
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		p.t.Fatalf("waiting for %s: %v\nthe page says: %.2000s\nwrong so far: %q", expression, err, text, p.Forgive())
	}
}

// Hold keeps from the page the next answer to a request whose URL contains part.
// caught waits for that answer, release gives it to the page.
func (p *Page) Hold(part string) (caught, release func()) {
	p.t.Helper()
	p.Until(fmt.Sprintf(`(() => {
		const real = window.fetch
		const catching = window.fetch = async (url, options) => {
			const answer = await real(url, options)
			if (window.fetch === catching && String(url).includes(%q)) {
				window.fetch = real
				await new Promise((go) => { window.held = go })
			}
			return answer
		}
		return true
	})()`, part))
	return func() { p.Until(`window.held !== undefined`) }, func() {
		p.Until(`(held(), delete window.held)`)
		p.Settle()
	}
}

// Settle waits until the page has done what it can do by now.
func (p *Page) Settle() {
	p.t.Helper()
	p.Until(`(async () => {
		await (await fetch(location)).text()
		await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
		return true
	})()`)
}

// Shows waits until a CSS selector finds something that contains the text.
func (p *Page) Shows(selector, text string) {
	p.t.Helper()
	p.Until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))`, selector, text))
}

// Text returns the value of a JavaScript expression as text. A promise is
// waited for.
func (p *Page) Text(expression string) string {
	p.t.Helper()
	return run(p, expression, chromedp.Evaluate[string](
		"(async () => String(await ("+expression+")))()", chromedp.EvalAwaitPromise))
}

// Number returns the value of a JavaScript expression.
func (p *Page) Number(expression string) float64 {
	p.t.Helper()
	return run(p, expression, chromedp.Evaluate[float64](expression))
}

// run does something that must not take longer than timeout.
func run[T any](p *Page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	p.must(err, what)
	return value
}

func (p *Page) must(err error, what string) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v; wrong so far: %q", what, err, p.Forgive())
	}
}

func (p *Page) watch(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		to, err := url.Parse(e.Request.URL)
		if err != nil || to.Scheme != "data" && !slices.Contains(p.origins, to.Scheme+"://"+to.Host) {
			p.note("asked for " + e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.note("exception: " + text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text := "console:"
			for _, arg := range e.Args {
				text += " " + string(arg.Value) + arg.Description
			}
			p.note(text)
		}
	case *log.EventEntryAdded:
		// Chromium ends requests where an interface comes or goes, as by a container beside it.
		changed := strings.Contains(e.Entry.Text, "net::ERR_NETWORK_CHANGED")
		if !changed && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			p.note("log: " + e.Entry.Text + " " + e.Entry.URL)
		}
	}
}

func (p *Page) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = append(p.wrong, text)
}
