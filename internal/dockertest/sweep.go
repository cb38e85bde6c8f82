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
		failed := remove(chosen, containers.Items, err, func(c container.Summary) (map[string]string, func() error) {
			return c.Labels, func() error {
				_, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
				return err
			}
		})
		networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
		failed = errors.Join(failed, remove(chosen, networks.Items, err, func(n network.Summary) (map[string]string, func() error) {
			return n.Labels, func() error {
				_, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
				return err
			}
		}))
		volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
		failed = errors.Join(failed, remove(chosen, volumes.Items, err, func(v volume.Volume) (map[string]string, func() error) {
			return v.Labels, func() error {
				_, err := docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
				return err
			}
		}))
		list, err := docker.ImageList(ctx, client.ImageListOptions{All: true, Filters: filter})
		return errors.Join(failed, remove(chosen, list.Items, err, func(i images.Summary) (map[string]string, func() error) {
			return i.Labels, func() error {
				_, err := docker.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
				return err
			}
		}))
	})
}

// remove removes those items of a list, or of the error of listing, whose owner is
// chosen. One that is gone already is no error.
func remove[T any](chosen func(owner int) bool, items []T, failed error, of func(T) (labels map[string]string, remove func() error)) error {
	for _, item := range items {
		labels, remove := of(item)
		pid, local := strings.CutPrefix(labels[label], here())
		if owner, err := strconv.Atoi(pid); err != nil || !local || !chosen(owner) {
			continue
		}
		if err := remove(); !errdefs.IsNotFound(err) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
