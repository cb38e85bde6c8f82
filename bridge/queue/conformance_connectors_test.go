package queue_test

import (
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func connectorsListed(k *kit) {
	k.open("b")
	listed := func(want ...string) {
		k.Helper()
		got, err := k.store.Connectors(k.ctx)
		require.NoError(k, err)
		require.Equal(k, want, got)
	}
	listed("b")
	k.add(k.open("a"), queue.Receipt{Accepted: 1}, "1")
	k.open("a.b")
	listed("a", "a.b", "b")
	k.reopen("b")
	listed("a", "a.b", "b") // whether they were opened since or not
}
