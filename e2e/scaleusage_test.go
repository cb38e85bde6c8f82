//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
)

// usage is what a container has used since its start.
type usage struct {
	cpu      time.Duration
	in, out  uint64 // bytes of all its networks
	resident uint64 // bytes, now
}

func (u usage) minus(before usage) usage {
	return usage{u.cpu - before.cpu, u.in - before.in, u.out - before.out, u.resident}
}

func (s *scenario) usage(c testcontainers.Container) (u usage) {
	s.t.Helper()
	var said container.StatsResponse
	s.docker(func(docker *client.Client) error {
		answer, err := docker.ContainerStats(s.ctx, c.GetContainerID(), client.ContainerStatsOptions{})
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		return json.NewDecoder(answer.Body).Decode(&said)
	})
	u.cpu = time.Duration(said.CPUStats.CPUUsage.TotalUsage)
	u.resident = said.MemoryStats.Stats["anon"] // of cgroups 2
	if rss, old := said.MemoryStats.Stats["total_rss"]; old {
		u.resident = rss
	}
	for _, n := range said.Networks {
		u.in, u.out = u.in+n.RxBytes, u.out+n.TxBytes
	}
	return u
}

// gauge reads a metric without labels of the bridge that is asked.
func (s *scenario) gauge(name string) float64 {
	s.t.Helper()
	admin, err := s.admin()
	require.NoError(s.t, err)
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, admin+"/metrics", nil)
	require.NoError(s.t, err)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(s.t, err)
			return n
		}
	}
	require.NoError(s.t, lines.Err())
	require.Fail(s.t, "the bridge shows no metric "+name)
	return 0
}

// limited gives a container so many cores.
func limited(cores float64) testcontainers.CustomizeRequestOption {
	return testcontainers.WithHostConfigModifier(func(host *container.HostConfig) { host.NanoCPUs = int64(cores * 1e9) })
}

// limit gives a container that runs so many cores.
func (s *scenario) limit(c testcontainers.Container, cores float64) {
	s.t.Helper()
	s.docker(func(docker *client.Client) error {
		_, err := docker.ContainerUpdate(s.ctx, c.GetContainerID(), client.ContainerUpdateOptions{Resources: &container.Resources{NanoCPUs: int64(cores * 1e9)}})
		return err
	})
}
