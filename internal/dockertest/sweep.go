package dockertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/moby/client"
)

// sweep removes what the runs have made that are chosen by the number of their
// process: containers first, then what they used.
func sweep(chosen func(owner int) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	return WithClient(ctx, func(docker *client.Client) error {
		b := &broom{ctx: ctx, docker: docker, chosen: chosen, filter: make(client.Filters).Add("label", label)}
		return errors.Join(b.containers(), b.networks(), b.volumes(), b.images())
	})
}

type broom struct {
	ctx    context.Context
	docker *client.Client
	chosen func(owner int) bool
	filter client.Filters
}

// owns says whether something with these labels is to go.
func (b *broom) owns(labels map[string]string) bool {
	pid, local := strings.CutPrefix(labels[label], here())
	owner, err := strconv.Atoi(pid)
	return local && err == nil && b.chosen(owner)
}

// remove is what is left to do for one thing; one that is gone already is fine.
func (b *broom) remove(what, id string, err error) error {
	if err == nil || isGone(err) {
		return nil
	}
	return fmt.Errorf("remove the %s %s: %w", what, id, err)
}

func (b *broom) containers() error {
	list, err := b.docker.ContainerList(b.ctx, client.ContainerListOptions{All: true, Filters: b.filter})
	if err != nil {
		return err
	}
	for _, c := range list.Items {
		if b.owns(c.Labels) {
			_, gone := b.docker.ContainerRemove(b.ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			err = errors.Join(err, b.remove("container", c.ID, gone))
		}
	}
	return err
}

func (b *broom) networks() error {
	list, err := b.docker.NetworkList(b.ctx, client.NetworkListOptions{Filters: b.filter})
	if err != nil {
		return err
	}
	for _, n := range list.Items {
		if b.owns(n.Labels) {
			_, gone := b.docker.NetworkRemove(b.ctx, n.ID, client.NetworkRemoveOptions{})
			err = errors.Join(err, b.remove("network", n.Name, gone))
		}
	}
	return err
}

func (b *broom) volumes() error {
	list, err := b.docker.VolumeList(b.ctx, client.VolumeListOptions{Filters: b.filter})
	if err != nil {
		return err
	}
	for _, v := range list.Items {
		if b.owns(v.Labels) {
			_, gone := b.docker.VolumeRemove(b.ctx, v.Name, client.VolumeRemoveOptions{Force: true})
			err = errors.Join(err, b.remove("volume", v.Name, gone))
		}
	}
	return err
}

func (b *broom) images() error {
	list, err := b.docker.ImageList(b.ctx, client.ImageListOptions{All: true, Filters: b.filter})
	if err != nil {
		return err
	}
	for _, i := range list.Items {
		if b.owns(i.Labels) {
			_, gone := b.docker.ImageRemove(b.ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			err = errors.Join(err, b.remove("image", i.ID, gone))
		}
	}
	return err
}
