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

// A project outside of this repository that has it by a replace runs the
// README's example as it stands.
func TestReadmeExampleInAnotherProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a project")
	}
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.NotEmpty(t, blocks, "the README has an example in Go")

	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("arrive_test.go", `package outside

import (
	"testing"

	"`+modulePath+`/mockbraze"
	"`+modulePath+`/mockrudder"
)

`+string(blocks[0][1]))
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	// The same versions, so that nothing has to be looked up.
	write("go.mod", strings.Replace(string(module), "module "+modulePath, "module example.com/outside", 1)+
		"\nrequire "+modulePath+" v0.0.0\n\nreplace "+modulePath+" => "+root+"\n")
	write("go.sum", string(sums))

	for _, args := range [][]string{{"vet", "."}, {"test", "-v", "-count=1", "."}} {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
		out, err := command.CombinedOutput()
		require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
		if args[0] == "test" {
			require.Contains(t, string(out), "--- PASS: Test", "it ran")
		}
	}
}
