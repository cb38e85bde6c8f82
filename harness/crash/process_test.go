package crash

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/gobuild"
)

// program is the real bridge, built as it is shipped and with crash points.
type program struct{ plain, armed string }

// buildDir is where the bridge is built. TestMain makes and removes it.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "currentsbridge-crash-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(buildDir)
	if err := flag.Set("test.parallel", "4"); err != nil { // the tests wait more than they work
		panic(err)
	}
	m.Run()
}

var buildOnce = sync.OnceValues(func() (program, error) {
	const bridge = "github.com/currentsbridge/currentsbridge/cmd/bridge"
	plain, err := gobuild.Program(buildDir, bridge)
	if err != nil {
		return program{}, err
	}
	armed, err := gobuild.Program(filepath.Join(buildDir, "armed"), bridge, "-tags", "crashpoints")
	return program{plain: plain, armed: armed}, err
})

func build(t *testing.T) program {
	p, err := buildOnce()
	require.NoError(t, err)
	return p
}

// launch runs the bridge at path until the test ends; its settings and its log go to
// dir. armed is what crashpoint.Env is set to, if anything.
func launch(t *testing.T, path, dir, settings, armed string) *bridgeproc.Process {
	config, log := filepath.Join(dir, "bridge.yaml"), filepath.Join(dir, "bridge.log")
	require.NoError(t, os.WriteFile(config, []byte(settings), 0o600))
	require.NoError(t, os.RemoveAll(log)) // that of the bridge before
	var env []string
	if armed != "" {
		env = append(env, crashpoint.Env+"="+armed)
	}
	p, err := bridgeproc.Start(path, log, env, "serve", "--config", config)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

// wasKilled says whether the bridge ended by SIGKILL; false: it had stopped after
// SIGTERM before. Any other end fails the test. It must be gone.
func wasKilled(t *testing.T, p *bridgeproc.Process, stopped bool) bool {
	status := p.Cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true
	}
	require.True(t, stopped && p.Cmd.ProcessState.Success(), "the bridge ended by itself: %s\n%s", p.Cmd.ProcessState, p.Log())
	return false
}

// What is shipped has nothing of the crash points: no code, no name, no switch.
func TestNormalBuildHasNoCrashPoints(t *testing.T) {
	built := build(t)
	for path, there := range map[string]bool{built.plain: false, built.armed: true} {
		text := casefile.Text(t, path)
		// The names of functions are in a binary also without its symbols.
		require.Equal(t, there, strings.Contains(text, "internal/crashpoint.At"), "code in %s", path)
		for _, name := range append(crashpoint.Points(), crashpoint.Env) {
			require.Equal(t, there, strings.Contains(text, name), "%s in %s", name, path)
		}
	}
}
