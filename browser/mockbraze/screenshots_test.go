package mockbraze_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
)

var screenshots = flag.String("screenshots", "", "write pictures of the page into this directory")

// TestScreenshots makes the pictures in docs/:
//
//	go test ./browser/mockbraze -run TestScreenshots -screenshots ../../docs
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no pictures asked for: give -screenshots DIR")
	}
	target := newTarget(t)
	page, _ := show(t, browsertest.Start(t), "/")
	save := func(name string) {
		require.NoError(t, os.WriteFile(filepath.Join(*screenshots, name), page.Screenshot(), 0o644))
	}
	fill(page, target.url, "good")
	page.Click("#test-form")
	page.Until(`document.querySelector("#test-result").className.includes("good")`)
	page.Until(`(scrollTo(0, 0), true)`)
	save("mockbraze-page.png")
	page.Click("#launch-form")
	page.Until(`document.querySelector("#launch").hidden`)
	for range 4 {
		page.Choose("#watch [name=events]", "2000")
		page.Click("#send")
		page.Until(`!document.querySelector("#send").disabled`)
	}
	target.bad.Store("users.messages.email.Click\"")
	page.Choose("#watch [name=events]", "960")
	page.Click("#send")
	page.Until(`document.querySelectorAll("#reasons li").length > 0`)
	page.Until(`document.querySelector("#chart").childElementCount > 0`)
	save("mockbraze-page-watch.png")
	page.Scheme("dark")
	save("mockbraze-page-dark.png")
	page.Scheme("light")
	page.Size(400, 900, true)
	page.Until(`(document.querySelector("#do-card").scrollIntoView(), scrollBy(0, -70), true)`)
	save("mockbraze-page-phone.png")
}
