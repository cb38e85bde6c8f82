package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

const module = "github.com/currentsbridge/currentsbridge/"

// Program is something to make an image of.
type Program struct {
	// Name is the image's, currentsbridge/NAME, and the file's in it.
	Name string
	// Package is what to build.
	Package string
}

// The programs that the tests put into images.
func Bridge() Program     { return Program{"bridge", module + "cmd/bridge"} }
func MockBraze() Program  { return Program{"mockbraze", module + "cmd/mockbraze"} }
func MockRudder() Program { return Program{"mockrudder", module + "cmd/mockrudder"} }

// NATS is the NATS server, in the version of go.mod.
func NATS() Program { return Program{"nats-server", "github.com/nats-io/nats-server/v2"} }

// Image returns the name of the image of a program, which it builds where this
// run has not done so yet. The image has nothing in it but the program and an
// empty directory /data, and is removed at the end of the run.
func Image(ctx context.Context, p Program) (string, error) {
	repo, tag := "currentsbridge/"+p.Name, fmt.Sprintf("e2e-%d", os.Getpid())
	name := repo + ":" + tag
	built := false
	err := WithClient(ctx, func(docker *client.Client) error {
		_, err := docker.ImageInspect(ctx, name)
		built = err == nil
		if errdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil || built {
		return name, err
	}
	archive, err := p.archive(ctx)
	if err != nil {
		return "", err
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoDocker, err)
	}
	defer provider.Close()
	_, err = provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: bytes.NewReader(archive), Repo: repo, Tag: tag, KeepImage: true,
		BuildOptionsModifier: func(o *client.ImageBuildOptions) { o.Labels = Labels() },
	}})
	if err != nil {
		return "", fmt.Errorf("build the image %s: %w", name, err)
	}
	return name, nil
}

// archive is the context of the build: the Dockerfile, the program, and the
// directory for volumes.
func (p Program) archive(ctx context.Context) ([]byte, error) {
	binary, err := p.build(ctx)
	if err != nil {
		return nil, err
	}
	dockerfile := fmt.Sprintf("FROM scratch\nCOPY %[1]s /%[1]s\nCOPY data /data\nENTRYPOINT [\"/%[1]s\"]\n", p.Name)
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, file := range []struct {
		header  tar.Header
		content []byte
	}{
		{tar.Header{Name: "Dockerfile", Mode: 0o644}, []byte(dockerfile)},
		{tar.Header{Name: p.Name, Mode: 0o755}, binary},
		{tar.Header{Name: "data/", Mode: 0o755, Typeflag: tar.TypeDir}, nil},
	} {
		file.header.Size = int64(len(file.content))
		if err := archive.WriteHeader(&file.header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(file.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// build makes a static binary.
func (p Program) build(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "currentsbridge-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, path.Base(p.Name))
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, p.Package)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if said, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w\n%s", p.Package, err, said)
	}
	return os.ReadFile(file)
}

func isGone(err error) bool { return errdefs.IsNotFound(err) }
