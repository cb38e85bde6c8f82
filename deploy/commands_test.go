package deploy

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// Every command line of these files names a command and flags that its program has, by
// the pages of --help that the tests of the programs compare with them.
func TestCommandLinesAreKnown(t *testing.T) {
	var lines [][]string
	for _, image := range images(t) {
		lines = append(lines, append(image.command(t, "ENTRYPOINT"), image.command(t, "CMD")...))
		if check := image.command(t, "HEALTHCHECK"); check != nil {
			lines = append(lines, check)
		}
	}
	eachService(t, func(_ *testing.T, _ *types.Project, s types.ServiceConfig) {
		if target, own := strings.CutPrefix(s.Image, namespace); own && len(s.Command) > 0 {
			lines = append(lines, append([]string{target}, s.Command...))
		}
	})
	eachOverlay(t, func(_ *testing.T, c rendered, _ string) {
		lines = append(lines, append([]string{"bridge"}, c.pod.Spec.Containers[0].Args...))
	})
	unit := unitFile(t, "systemd/bridge.service")
	for _, line := range append(unit["ExecStart"], unit["ExecReload"][0]) {
		lines = append(lines, strings.Fields(line))
	}
	for _, line := range lines {
		program := filepath.Base(line[0])
		help := read(t, filepath.Join("../cmd", program, "help", program+"-"+line[1]+".txt"))
		for _, word := range line[2:] {
			if strings.HasPrefix(word, "--") {
				require.Regexp(t, `(?m)^ +`+regexp.QuoteMeta(word)+`\b`, help, line)
			}
		}
	}
	require.Greater(t, len(lines), 12)
}
