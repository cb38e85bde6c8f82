package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	links    = regexp.MustCompile(`\]\(([^)]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug   = regexp.MustCompile(`[^\w\- ]`)
)

// anchors are what a link may name in a page.
func anchors(t *testing.T, path string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, heading := range headings.FindAllStringSubmatch(read(t, path), -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(heading[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// Every page of the project leads to files and headings that are there.
func TestLinksOfThePages(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md", "../SECURITY.md", "../fixtures/gateway/README.md") {
		for _, link := range links.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			_, err := os.Stat(path)
			require.NoError(t, err, "%s: %s", page, link[1])
			if anchor != "" {
				require.True(t, anchors(t, path)[anchor], "%s: %s", page, link[1])
			}
		}
	}
	require.Contains(t, read(t, "../README.md"), "](docs/deploy.md)")
}

// What the pages say is deployed are all files that there are.
func TestPageNamesEachPart(t *testing.T) {
	page := read(t, "../docs/deploy.md")
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasSuffix(name, ".go") && name != "go.mod" && name != "go.sum" {
			require.Contains(t, page, "deploy/"+entry.Name(), "the page says nothing of it")
		}
	}
}
