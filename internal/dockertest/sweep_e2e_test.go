//go:build e2e

package dockertest

import (
	"context"
	"os/exec"
	"strconv"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

// TestSweep removes what a run has left that died, and nothing of those that
// live or run elsewhere.
func TestSweep(t *testing.T) {
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	require.False(t, alive(dead.Process.Pid))
	left := makeVolume(t, here()+strconv.Itoa(dead.Process.Pid))
	ours := makeVolume(t, Labels()[label])
	elsewhere := makeVolume(t, "elsewhere/"+strconv.Itoa(dead.Process.Pid))

	require.NoError(t, sweep(func(owner int) bool { return !alive(owner) }))
	require.Equal(t, []bool{false, true, true}, []bool{there(t, left), there(t, ours), there(t, elsewhere)})
	require.NoError(t, sweep(mine))
	require.Equal(t, []bool{false, true}, []bool{there(t, ours), there(t, elsewhere)})
}

// makeVolume makes a volume with a label; what the test leaves is removed with it.
func makeVolume(t *testing.T, owner string) (name string) {
	require.NoError(t, WithClient(t.Context(), func(docker *client.Client) error {
		made, err := docker.VolumeCreate(t.Context(), client.VolumeCreateOptions{Labels: map[string]string{label: owner}})
		name = made.Volume.Name
		return err
	}))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, WithClient(ctx, func(docker *client.Client) error {
			_, err := docker.VolumeRemove(ctx, name, client.VolumeRemoveOptions{Force: true})
			if errdefs.IsNotFound(err) {
				return nil
			}
			return err
		}))
	})
	return name
}

func there(t *testing.T, name string) (found bool) {
	require.NoError(t, WithClient(t.Context(), func(docker *client.Client) error {
		list, err := docker.VolumeList(t.Context(), client.VolumeListOptions{Filters: make(client.Filters).Add("name", name)})
		found = len(list.Items) > 0
		return err
	}))
	return found
}
