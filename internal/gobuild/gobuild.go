// Package gobuild builds the project's programs for tests. All are built with the
// flags of make build, so that one build cache serves every test.
package gobuild

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Program builds the package with the given path, such as
// github.com/currentsbridge/currentsbridge/cmd/bridge, into dir, as a static
// binary under the last element of the package's path, and returns the binary's
// path. Flags are those of go build, such as -tags.
func Program(dir, pkg string, flags ...string) (string, error) {
	return ProgramFor(runtime.GOOS, dir, pkg, flags...)
}

// ProgramFor is Program for another operating system, such as linux in a
// container.
func ProgramFor(goos, dir, pkg string, flags ...string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	args := append([]string{"build", "-ldflags", "-s -w", "-o", path}, flags...)
	command := exec.Command("go", append(args, pkg)...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos)
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}
