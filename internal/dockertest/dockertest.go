// Package dockertest is what the container tests of this project share: images
// made from nothing but the project's own programs, and a clean Docker behind
// every run.
//
// No registry is needed. A program is built as a static binary and put into an
// image FROM scratch. All that a run makes carries its label, with the number of
// its process; Main removes it at the end, when the run is interrupted, and, if
// its process was killed, at the start of the next run.
package dockertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	images "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

// label names what a run has made; its value is the host of the run and the
// number of its process there. Runs on other hosts may share the Docker engine.
const label = "io.github.currentsbridge.e2e"

const sweepTime = 2 * time.Minute // for removing what a run has made

// Main builds the images of these programs, so that tests that run in parallel
// build none twice, runs the tests of a package, and leaves nothing behind.
// Without Docker it fails and says so in one line.
func Main(m *testing.M, programs ...string) { os.Exit(run(m, programs)) }

func run(m *testing.M, programs []string) int {
	log.SetDefault(log.NewNoopLogger()) // the tests show their progress themselves
	if err := available(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := sweep(func(owner int) bool { return !alive(owner) }); err != nil {
		fmt.Fprintln(os.Stderr, "container tests: remove what an earlier run has left:", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		received := <-signals
		fmt.Fprintln(os.Stderr, "container tests:", received, "- removing containers, networks, volumes and images")
		if err := sweep(mine); err != nil {
			fmt.Fprintln(os.Stderr, "container tests:", err)
		}
		os.Exit(1)
	}()
	code := 0
	for _, program := range programs {
		if _, err := Image(context.Background(), program); err != nil {
			fmt.Fprintln(os.Stderr, "container tests:", err)
			code = 1
		}
	}
	if code == 0 {
		code = m.Run()
	}
	if err := sweep(mine); err != nil {
		fmt.Fprintln(os.Stderr, "container tests: clean up:", err)
		return 1
	}
	return code
}

// available says in one line what is missing where there is no Docker.
func available() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return WithClient(ctx, func(docker *client.Client) error {
		_, err := docker.Ping(ctx, client.PingOptions{})
		return err
	})
}

// ErrNoDocker means that no Docker engine answers.
var ErrNoDocker = errors.New("container tests: Docker is missing: install it and start dockerd, or set DOCKER_HOST")

// WithClient gives do a client of the Docker engine.
func WithClient(ctx context.Context, do func(*client.Client) error) (err error) {
	defer func() {
		if client.IsErrConnectionFailed(err) {
			err = fmt.Errorf("%w (%w)", ErrNoDocker, err)
		}
		if p := recover(); p != nil { // testcontainers panics where it finds no Docker
			err = fmt.Errorf("%w (%v)", ErrNoDocker, p)
		}
	}()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrNoDocker, err)
	}
	defer docker.Close()
	return do(docker.Client)
}

// Labels mark what belongs to this run, so that it is removed with it.
func Labels() map[string]string { return map[string]string{label: here() + strconv.Itoa(os.Getpid())} }

// here begins the labels of all runs of this host; without a name it is the slash.
func here() string {
	name, _ := os.Hostname()
	return name + "/"
}

func mine(owner int) bool { return owner == os.Getpid() }

// alive says whether a process still runs.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// Logs returns the last lines that a container has written, for a failure.
func Logs(ctx context.Context, c testcontainers.Container) string {
	const most = 4 << 10
	reader, err := c.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer reader.Close()
	text, _ := io.ReadAll(reader) // what there is
	return string(text[max(0, len(text)-most):])
}

// sweep removes what the runs of some processes have made: containers first, then
// what they used.
func sweep(chosen func(owner int) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	return WithClient(ctx, func(docker *client.Client) error {
		filter := make(client.Filters).Add("label", label)
		containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
		failed := remove(ctx, chosen, containers.Items, err,
			func(c container.Summary) (string, map[string]string) { return c.ID, c.Labels },
			docker.ContainerRemove, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
		failed = errors.Join(failed, remove(ctx, chosen, networks.Items, err,
			func(n network.Summary) (string, map[string]string) { return n.ID, n.Labels },
			docker.NetworkRemove, client.NetworkRemoveOptions{}))
		volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
		failed = errors.Join(failed, remove(ctx, chosen, volumes.Items, err,
			func(v volume.Volume) (string, map[string]string) { return v.Name, v.Labels },
			docker.VolumeRemove, client.VolumeRemoveOptions{Force: true}))
		list, err := docker.ImageList(ctx, client.ImageListOptions{All: true, Filters: filter})
		return errors.Join(failed, remove(ctx, chosen, list.Items, err,
			func(i images.Summary) (string, map[string]string) { return i.ID, i.Labels },
			docker.ImageRemove, client.ImageRemoveOptions{Force: true, PruneChildren: true}))
	})
}

// remove removes those items of a list, or of the error of listing, whose owner is
// chosen. One that is gone already is no error.
func remove[T, O, R any](ctx context.Context, chosen func(owner int) bool, items []T, failed error,
	of func(T) (id string, labels map[string]string), remove func(context.Context, string, O) (R, error), options O,
) error {
	for _, item := range items {
		id, labels := of(item)
		pid, local := strings.CutPrefix(labels[label], here())
		if owner, err := strconv.Atoi(pid); err != nil || !local || !chosen(owner) {
			continue
		}
		if _, err := remove(ctx, id, options); !errdefs.IsNotFound(err) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
