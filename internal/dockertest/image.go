package dockertest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

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
	// Name is the image's, localhost/currentsbridge/NAME, and the file's in it.
	Name string
	// Package is what to build.
	Package string
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
	return image(ctx, p.Name, func() ([]byte, error) {
		binary, err := p.build(ctx)
		if err != nil {
			return nil, err
		}
		a := newArchive(fmt.Sprintf("FROM scratch\nCOPY root /\nENTRYPOINT [\"/%s\"]\n", p.Name))
		a.file(p.Name, 0o755, binary)
		a.dir("data", 0o755)
		return a.close()
	})
}

// image builds an image from the archive of its context, once a run.
func image(ctx context.Context, name string, archive func() ([]byte, error)) (string, error) {
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
	content, err := archive()
	if err != nil {
		return "", fmt.Errorf("make the image %s: %w", name, err)
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoDocker, err)
	}
	defer provider.Close()
	_, err = provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: bytes.NewReader(content), Repo: repo, Tag: tag, KeepImage: true,
		BuildOptionsModifier: func(o *client.ImageBuildOptions) { o.Labels = Labels() },
	}})
	if err != nil {
		return "", fmt.Errorf("build the image %s: %w", name, err)
	}
	return repo + ":" + tag, nil
}

// build makes a static binary. In a checkout it is kept in bin/e2e, so that the
// next run links only what has changed.
func (p Program) build(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "currentsbridge-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if work, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output(); err == nil && filepath.IsAbs(strings.TrimSpace(string(work))) {
		dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(work))), "bin", "e2e")
	}
	file, err := gobuild.ProgramFor("linux", dir, p.Package)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// archive is the context of a build: a Dockerfile, and below root what the image
// holds. The first error is kept until close.
type archive struct {
	out  bytes.Buffer
	tar  *tar.Writer
	have map[string]bool
	err  error
}

func newArchive(dockerfile string) *archive {
	a := &archive{have: map[string]bool{}}
	a.tar = tar.NewWriter(&a.out)
	a.write(tar.Header{Name: "Dockerfile", Mode: 0o644}, []byte(dockerfile))
	return a
}

func (a *archive) write(header tar.Header, content []byte) {
	if a.err != nil || a.have[header.Name] {
		return
	}
	a.have[header.Name] = true
	header.Size = int64(len(content))
	if a.err = a.tar.WriteHeader(&header); a.err == nil {
		_, a.err = a.tar.Write(content)
	}
}

func (a *archive) file(name string, mode int64, content []byte) {
	a.write(tar.Header{Name: "root/" + name, Mode: mode}, content)
}

func (a *archive) dir(name string, mode int64) {
	a.write(tar.Header{Name: "root/" + name + "/", Mode: mode, Typeflag: tar.TypeDir}, nil)
}

// copy takes a file of this machine, at the same path; symbolic links are
// followed.
func (a *archive) copy(path string) {
	info, err := os.Stat(path)
	if err != nil {
		a.err = cmp.Or(a.err, err)
		return
	}
	content, err := os.ReadFile(path)
	a.err = cmp.Or(a.err, err)
	a.file(strings.TrimPrefix(path, "/"), int64(info.Mode().Perm()), content)
}

func (a *archive) close() ([]byte, error) {
	if err := cmp.Or(a.err, a.tar.Close()); err != nil {
		return nil, err
	}
	return a.out.Bytes(), nil
}
