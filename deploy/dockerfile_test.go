package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func programs(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("../cmd")
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// Each program has an image, and images.sh and the Makefile build them all.
func TestImagesAreThePrograms(t *testing.T) {
	found := images(t)
	for _, name := range programs(t) {
		require.Contains(t, found, name)
		require.Contains(t, found[name].files, name)
		require.Contains(t, found[name].files, "ca-certificates.crt")
		require.Equal(t, "/"+name, found[name].command[0])
	}
	require.Len(t, found, len(programs(t)))
	listed := regexp.MustCompile(`(?m)^programs="(.*)"$`).FindStringSubmatch(read(t, "images.sh"))
	require.NotNil(t, listed)
	require.ElementsMatch(t, programs(t), strings.Fields(listed[1]))
	require.Regexp(t, `(?m)^image: ## .*\n\t.*deploy/images\.sh$`, read(t, "../Makefile"))
}

// The harness starts the bridge that lies beside it.
func TestImageOfTheHarnessHasABridge(t *testing.T) {
	require.Contains(t, images(t)["harness"].files, "bridge")
}

func TestImagesAreNotRoot(t *testing.T) {
	for name, image := range images(t) {
		require.Regexp(t, `^[1-9]\d*:[1-9]\d*$`, image.user, name)
		// What is copied for it belongs to it.
		require.Contains(t, read(t, "Dockerfile"), "--chown="+image.user+" /out/data /data")
	}
}

// A server in a container has to be reached from outside of it, and its
// healthcheck has to find it.
func TestImagesOfServersListenWhereTheySay(t *testing.T) {
	for name, image := range images(t) {
		var listens []string
		for variable, value := range image.env {
			if !strings.HasPrefix(variable, strings.ToUpper(name)+"_") || !strings.Contains(value, ":") {
				continue
			}
			host, port := hostPort(t, value)
			require.Equal(t, "0.0.0.0", host, variable)
			listens = append(listens, port)
		}
		require.ElementsMatch(t, image.ports, listens, name)
		if len(listens) == 0 {
			continue
		}
		require.Equal(t, []string{"/" + name, "healthcheck"}, image.healthcheck)
	}
	require.Equal(t, "/data", images(t)["bridge"].env["BRIDGE_DATA_DIR"])
}

// What is built from the host's binaries is everything below that line, so
// what stands above it must not be needed but for /out.
func TestImagesNeedOnlyWhatTheFirstStageLaysOut(t *testing.T) {
	above, below, found := strings.Cut(read(t, "Dockerfile"), "\n# The images.\n")
	require.True(t, found)
	from := regexp.MustCompile(`(?m)^FROM (\S+)(?: AS (\w+))?$`)
	require.Len(t, from.FindAllString(above, -1), 1)
	known := []string{"scratch"}
	for _, stage := range from.FindAllStringSubmatch(below, -1) {
		require.Contains(t, known, stage[1])
		known = append(known, stage[2])
	}
	for _, copied := range regexp.MustCompile(`(?m)^COPY (.*)$`).FindAllStringSubmatch(below, -1) {
		require.Contains(t, copied[1], "--from=build ")
		require.Contains(t, copied[1], " /out/")
	}
	require.False(t, slices.Contains(known, "build"))
}
