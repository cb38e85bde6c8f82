package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// image has the arguments of the instructions of an image, those of its base first.
type image map[string][]string

var instruction = regexp.MustCompile(`(?m)^([A-Z]+) (.*)$`)

// images reads the stages of the Dockerfile that are images, by name. They are also
// built of the host's binaries, so they need nothing of what stands above them but
// /out.
func images(t *testing.T) map[string]image {
	t.Helper()
	_, text, found := strings.Cut(read(t, "Dockerfile"), "\n# The images.\n")
	require.True(t, found)
	all, name := map[string]image{"scratch": {}}, ""
	for _, line := range instruction.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
		if line[1] == "FROM" {
			from, as, _ := strings.Cut(line[2], " AS ")
			require.Contains(t, all, from)
			all[as], name = maps.Clone(all[from]), as
			continue
		}
		all[name][line[1]] = append(slices.Clip(all[name][line[1]]), line[2])
	}
	delete(all, "scratch")
	delete(all, "base")
	return all
}

func (i image) env() map[string]string {
	named := map[string]string{}
	for pair := range strings.FieldsSeq(strings.Join(i["ENV"], " ")) {
		name, value, _ := strings.Cut(pair, "=")
		named[name] = value
	}
	return named
}

func (i image) ports() []string { return strings.Fields(strings.Join(i["EXPOSE"], " ")) }

// port is that of an address in the environment.
func (i image) port(t *testing.T, variable string) string {
	t.Helper()
	_, port, found := strings.Cut(i.env()[variable], ":")
	require.True(t, found, variable)
	return port
}

// command is what an instruction runs, without a shell, as there is none.
func (i image) command(t *testing.T, instruction string) (words []string) {
	t.Helper()
	for _, line := range i[instruction] {
		_, list, _ := strings.Cut(line, "[")
		require.NoError(t, json.Unmarshal([]byte("["+list), &words), line)
	}
	return words
}

// Each program has an image, which images.sh builds, that holds what it needs, is not
// root's, and can be reached from outside of the container where it says.
func TestImages(t *testing.T) {
	entries, err := os.ReadDir("../cmd")
	require.NoError(t, err)
	var programs []string
	for _, entry := range entries {
		programs = append(programs, entry.Name())
	}
	found := images(t)
	require.ElementsMatch(t, programs, slices.Collect(maps.Keys(found)))
	require.ElementsMatch(t, programs, []string{"bridge", "mockbraze", "mockrudder", "harness"})
	require.Contains(t, read(t, "images.sh"), "\nprograms=\"bridge mockbraze mockrudder harness\"\n")
	require.Regexp(t, `(?m)^image: ## .*\n\t.*deploy/images\.sh$`, read(t, "../Makefile"))
	for name, image := range found {
		require.NotContains(t, image, "RUN", "there is no shell")
		for _, files := range image["COPY"] {
			require.Regexp(t, `^--from=build .*/out/`, files)
		}
		copied := strings.Join(image["COPY"], "\n")
		require.Contains(t, copied, "/out/"+name+" ")
		require.Contains(t, copied, "/out/ca-certificates.crt ")
		require.Equal(t, []string{"/" + name}, image.command(t, "ENTRYPOINT"))
		require.Len(t, image["USER"], 1)
		require.Regexp(t, `^[1-9]\d*:[1-9]\d*$`, image["USER"][0])
		require.Contains(t, copied, "--chown="+image["USER"][0]+" /out/data /data")
		var listens []string
		for variable, value := range image.env() {
			if host, port, is := strings.Cut(value, ":"); is {
				require.Equal(t, "0.0.0.0", host, variable)
				listens = append(listens, port)
			}
		}
		require.ElementsMatch(t, image.ports(), listens)
		if len(listens) > 0 {
			require.Equal(t, []string{"/" + name, "healthcheck"}, image.command(t, "HEALTHCHECK"))
		}
	}
	require.Contains(t, found["harness"]["COPY"][2], "/out/bridge ", "the harness starts the bridge beside it")
	require.Equal(t, "/data", found["bridge"].env()["BRIDGE_DATA_DIR"])
}
