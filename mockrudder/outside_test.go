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

// outside makes a project outside of this repository with one file of tests, and
// returns how to run the go command there. It has the versions of the module in
// the directory base, so that nothing has to be looked up, and this repository by
// replaces. Code that imports for itself needs no imports.
func outside(t *testing.T, base string, imports []string, code string) func(args ...string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	if len(imports) > 0 {
		code = "import (\n\t\"" + strings.Join(imports, "\"\n\t\"") + "\"\n)\n\n" + code
	}
	write("outside_test.go", "package outside\n\n"+code)
	module, err := os.ReadFile(filepath.Join(root, base, "go.mod"))
	require.NoError(t, err)
	sums, err := os.ReadFile(filepath.Join(root, base, "go.sum"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(module), "\n")
	rest = strings.ReplaceAll(rest, "=> ../..", "=> "+root)
	self := strings.TrimSuffix("/"+base, "/.")
	write("go.mod", "module example.com/outside\n"+rest+"\nrequire "+modulePath+self+" v0.0.0\n\nreplace "+modulePath+self+" => "+root+self+"\n")
	write("go.sum", string(sums))
	return func(args ...string) string {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
		out, err := command.CombinedOutput()
		require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
		return string(out)
	}
}

// Another project runs the README's example as it stands.
func TestReadmeExampleInAnotherProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a project")
	}
	run := outside(t, ".", nil, goBlocks(t, "README.md")[0])
	run("vet", ".")
	require.Contains(t, run("test", "-v", "-count=1", "."), "--- PASS: Test", "it ran")
}

// The examples of the fakes' pages compile; what they test is the reader's.
func TestPageExamplesInAnotherProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds projects")
	}
	containers := "github.com/testcontainers/testcontainers-go"
	sender := append(goBlocks(t, "docs/mockrudder.md"), "func send(url, key string) {}\n")
	outside(t, "mockbraze/container", []string{"testing", "time", containers, modulePath + "/mockrudder", modulePath + "/mockrudder/container"},
		strings.Join(sender, "\n"))("vet", ".")
	outside(t, "mockbraze/container", []string{"testing", containers, containers + "/network", modulePath + "/mockbraze", modulePath + "/mockbraze/container"},
		strings.Join(goBlocks(t, "docs/mockbraze.md"), "\n"))("vet", ".")
}
