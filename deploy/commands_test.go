package deploy

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// commandLines are those that the files of this directory give to the programs.
func commandLines(t *testing.T) [][]string {
	t.Helper()
	known := images(t)
	var lines [][]string
	for _, image := range known {
		lines = append(lines, image.command)
		if image.healthcheck != nil {
			lines = append(lines, image.healthcheck)
		}
	}
	eachService(t, func(_ *testing.T, _ composeFile, _ string, s service) {
		if target, own := strings.CutPrefix(s.Image, namespace); own && len(s.Command) > 0 {
			lines = append(lines, append([]string{target}, s.Command...))
		}
	})
	eachOverlay(t, func(_ *testing.T, c cluster, _ string) {
		lines = append(lines, append([]string{"bridge"}, c.bridge.pod.Spec.Containers[0].Args...))
	})
	unit := unitFile(t, "systemd/bridge.service")["Service"]
	for _, line := range append(unit["ExecStart"], unit["ExecReload"]...) {
		if strings.Contains(line, "/bridge ") {
			lines = append(lines, strings.Fields(line))
		}
	}
	return lines
}

// Every command line names a command and flags that its program has, by the pages
// of --help that the tests of the programs compare with them.
func TestCommandLinesAreKnown(t *testing.T) {
	lines := commandLines(t)
	require.Greater(t, len(lines), 12)
	for _, line := range lines {
		t.Run(strings.Join(line, " "), func(t *testing.T) {
			require.Greater(t, len(line), 1)
			program, command := filepath.Base(line[0]), line[1]
			help := read(t, filepath.Join("../cmd", program, "testdata/help", program+"-"+command+".txt"))
			for _, word := range line[2:] {
				if strings.HasPrefix(word, "--") {
					require.Regexp(t, `(?m)^ +`+regexp.QuoteMeta(word)+`\b`, help)
				}
			}
		})
	}
}
