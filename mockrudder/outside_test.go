package mockrudder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// goBlocks are the examples in Go of a page, named from the root of the project.
func goBlocks(t *testing.T, page string) []string {
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(casefile.Text(t, "../"+page), -1) {
		blocks = append(blocks, block[1])
	}
	require.NotEmpty(t, blocks, "%s has an example in Go", page)
	return blocks
}

// A project outside of this repository runs the README's example as it stands, and
// compiles those of the fakes' pages, which need Docker and a sender to run. It has the
// versions of the module of containers, so that nothing has to be looked up, and this
// repository by replaces. Without cgo it shares what other builds have compiled, and go
// build takes less time than go test or go vet.
func TestPageExamplesInAnotherProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a project")
	}
	const (
		ours       = "github.com/currentsbridge/currentsbridge"
		containers = "github.com/testcontainers/testcontainers-go"
		base       = "/mockbraze/container"
	)
	page := func(name string, imports ...string) string {
		return "import (\n\t\"" + strings.Join(imports, "\"\n\t\"") + "\"\n)\n\n" + strings.Join(goBlocks(t, name), "\n")
	}
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	_, versions, _ := strings.Cut(casefile.Text(t, root+base+"/go.mod"), "\n")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"readme/readme_test.go": "package outside\n\n" + goBlocks(t, "README.md")[0],
		"rudder/page.go": "package outside\n\n" +
			page("docs/mockrudder.md", "testing", "time", containers, ours+"/mockrudder", ours+"/mockrudder/container"),
		"rudder/send.go": "package outside\n\nfunc send(url, key string) {}\n",
		"braze/page.go": "package outside\n\n" +
			page("docs/mockbraze.md", "testing", containers, containers+"/network", ours+"/mockbraze", ours+"/mockbraze/container"),
		"go.mod": "module example.com/outside\n" + strings.ReplaceAll(versions, "=> ../..", "=> "+root) +
			"\nrequire " + ours + base + " v0.0.0\n\nreplace " + ours + base + " => " + root + base + "\n",
		"go.sum": casefile.Text(t, root+base+"/go.sum"),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	run := func(args ...string) string {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
		out, err := command.CombinedOutput()
		require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
		return string(out)
	}
	require.Contains(t, run("test", "-v", "-count=1", "-ldflags=-s -w", "./readme"), "--- PASS: Test", "it ran")
	run("build", "./rudder", "./braze")
}
