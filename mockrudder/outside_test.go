package mockrudder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/currentsbridge/currentsbridge"

// goBlocks are the examples in Go of a page, named from the root of the project.
func goBlocks(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", page))
	require.NoError(t, err)
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(block[1]))
	}
	require.NotEmpty(t, blocks, "%s has an example in Go", page)
	return blocks
}

// outside makes a project of these files outside of this repository, and returns
// what the go command prints there. It has the versions of the module in the
// directory base, so that nothing has to be looked up, and this repository by
// replaces. Without cgo it shares what other builds have compiled.
func outside(t *testing.T, base string, files map[string]string, args ...string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	for name, code := range files {
		write(name, "package outside\n\n"+code)
	}
	module, err := os.ReadFile(filepath.Join(root, base, "go.mod"))
	require.NoError(t, err)
	sums, err := os.ReadFile(filepath.Join(root, base, "go.sum"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(module), "\n")
	rest = strings.ReplaceAll(rest, "=> ../..", "=> "+root)
	self := strings.TrimSuffix("/"+base, "/.")
	write("go.mod", "module example.com/outside\n"+rest+"\nrequire "+modulePath+self+" v0.0.0\n\nreplace "+modulePath+self+" => "+root+self+"\n")
	write("go.sum", string(sums))
	command := exec.CommandContext(t.Context(), "go", append(args, "./...")...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// Another project runs the README's example as it stands.
func TestReadmeExampleInAnotherProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a project")
	}
	out := outside(t, ".", map[string]string{"readme_test.go": goBlocks(t, "README.md")[0]}, "test", "-v", "-count=1", "-ldflags=-s -w")
	require.Contains(t, out, "--- PASS: Test", "it ran")
}

// The examples of the fakes' pages compile. They are not run, as they need Docker
// and a sender. go build takes less time than go test or go vet.
func TestPageExamplesInAnotherProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds projects")
	}
	const containers = "github.com/testcontainers/testcontainers-go"
	page := func(name string, imports ...string) string {
		return "import (\n\t\"" + strings.Join(imports, "\"\n\t\"") + "\"\n)\n\n" + strings.Join(goBlocks(t, name), "\n")
	}
	outside(t, "mockbraze/container", map[string]string{
		"rudder/page.go": page("docs/mockrudder.md", "testing", "time", containers, modulePath+"/mockrudder", modulePath+"/mockrudder/container") +
			"\nfunc send(url, key string) {}\n",
		"braze/page.go": page("docs/mockbraze.md", "testing", containers, containers+"/network", modulePath+"/mockbraze", modulePath+"/mockbraze/container"),
	}, "build")
}
