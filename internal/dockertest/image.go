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

// namespace is where no registry is, so that nothing of this name is ever pulled.
const namespace = "localhost/currentsbridge/"

// The programs that the tests put into images; Toxiproxy is Shopify's TCP proxy, in
// the version of e2e/go.mod.
const (
	Bridge     = "github.com/currentsbridge/currentsbridge/cmd/bridge"
	MockBraze  = "github.com/currentsbridge/currentsbridge/cmd/mockbraze"
	MockRudder = "github.com/currentsbridge/currentsbridge/cmd/mockrudder"
	Toxiproxy  = "github.com/Shopify/toxiproxy/v2/cmd/server"
)

// Image returns the name of the image of a program, which it builds from its package
// where this run has not done so yet. The image, localhost/currentsbridge/ and the last
// element of the package's path, has nothing in it but the program and an empty
// directory /data, and is removed at the end of the run.
func Image(ctx context.Context, program string) (string, error) {
	name := path.Base(program)
	return image(ctx, name, "FROM scratch\nCOPY root /\nENTRYPOINT [\"/"+name+"\"]\n", func(root string) error {
		_, err := gobuild.ProgramFor("linux", root, program)
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
