package dockertest

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	images "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
)

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
