package dockertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/currentsbridge/currentsbridge/internal/gobuild"
)

const (
	module = "github.com/currentsbridge/currentsbridge/"
	// namespace is where no registry is, so that nothing of this name is ever pulled.
	namespace = "localhost/currentsbridge/"
)

// Program is something to make an image of.
type Program struct {
	Name    string // the image's, localhost/currentsbridge/NAME
	Package string // what to build
}

// Bridge, MockBraze and MockRudder are the programs that the tests put into images.
func Bridge() Program     { return Program{"bridge", module + "cmd/bridge"} }
func MockBraze() Program  { return Program{"mockbraze", module + "cmd/mockbraze"} }
func MockRudder() Program { return Program{"mockrudder", module + "cmd/mockrudder"} }

// Toxiproxy is Shopify's TCP proxy, in the version of e2e/go.mod.
func Toxiproxy() Program {
	return Program{"toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server"}
}

// Image returns the name of the image of a program, which it builds where this
// run has not done so yet. The image has nothing in it but the program and an
// empty directory /data, and is removed at the end of the run.
func Image(ctx context.Context, p Program) (string, error) {
	dockerfile := fmt.Sprintf("FROM scratch\nCOPY root /\nENTRYPOINT [\"/%s\"]\n", path.Base(p.Package))
	return image(ctx, p.Name, dockerfile, func(root string) error {
		_, err := gobuild.ProgramFor("linux", root, p.Package)
		return errors.Join(err, os.Mkdir(filepath.Join(root, "data"), 0o755))
	})
}

// image builds an image, once a run, of a Dockerfile and what fill puts into the
// directory root beside it.
func image(ctx context.Context, name, dockerfile string, fill func(root string) error) (string, error) {
	repo, tag := namespace+name, fmt.Sprintf("e2e-%d", os.Getpid())
	built := false
	err := WithClient(ctx, func(docker *client.Client) error {
		_, err := docker.ImageInspect(ctx, repo+":"+tag)
		built = err == nil
		if errdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil || built {
		return repo + ":" + tag, err
	}
	dir, err := os.MkdirTemp("", "currentsbridge-image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "root")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600), os.Mkdir(root, 0o755), fill(root)); err != nil {
		return "", fmt.Errorf("make the image %s: %w", name, err)
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoDocker, err)
	}
	defer provider.Close()
	_, err = provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		Context: dir, Repo: repo, Tag: tag, KeepImage: true,
		BuildOptionsModifier: func(o *client.ImageBuildOptions) { o.Labels = Labels() },
	}})
	if err != nil {
		return "", fmt.Errorf("build the image %s: %w", name, err)
	}
	return repo + ":" + tag, nil
}
