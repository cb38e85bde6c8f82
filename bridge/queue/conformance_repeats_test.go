package queue_test

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func repeats(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	k.add(q, queue.Receipt{Accepted: 1, Duplicates: 2}, "2", "3", "1")
	k.add(q, queue.Receipt{Duplicates: 3}, "1", "2", "3")
	k.count(q, 8, 5, 3, 0, 0, 0, 0, 3)
	r := k.fetchAll(q, 3)
	require.Equal(k, []string{"1", "2", "3"}, k.idsOf(r...))
	require.Len(k, r, 2)
	k.deliver(q, r...)
	k.add(q, queue.Receipt{Duplicates: 1}, "1") // delivered is no reason to forget
	k.nothingToFetch(q)
	// Without an id nothing is a repeat.
	k.add(q, queue.Receipt{Accepted: 2}, "-", "-")
	k.add(q, queue.Receipt{Accepted: 1}, "-")
	k.deliver(q, k.fetchAll(q, 3)...)
}

func repeatsWithin(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2, Duplicates: 3}, "1", "1", "2", "1", "2")
	r := k.fetchAll(q, 2)
	require.Equal(k, []string{"1", "2"}, k.idsOf(r...))
	require.Equal(k, 1, r[0].Events[1].Index, "the index counts stored events")
	k.deliver(q, r...)

	// They are caught whatever the window is; a window of none keeps no more.
	none, err := k.store.Queue(k.ctx, "none", 0)
	require.NoError(k, err)
	k.add(none, queue.Receipt{Accepted: 2, Duplicates: 1}, "1", "2", "1")
	k.add(none, queue.Receipt{Accepted: 1, Duplicates: 1}, "1", "1")
	var many []string
	for i := range 3 * window {
		many = append(many, fmt.Sprint("many", i))
	}
	many = append(many, "many0")
	k.add(q, queue.Receipt{Accepted: 3 * window, Duplicates: 1}, many...)
	require.Len(k, k.idsOf(k.fetchAll(q, 3*window)...), 3*window)
}

func repeatsBeyond(k *kit) {
	q := k.open("a")
	add := func(from, n int) {
		var ids []string
		for i := from; i < from+n; i++ {
			ids = append(ids, fmt.Sprint(i))
		}
		k.add(q, queue.Receipt{Accepted: n}, ids...)
	}
	add(0, 100)
	for i := 100; i < window; i += 100 {
		add(i, 100)
	}
	k.add(q, queue.Receipt{Duplicates: 2}, "0", "999")
	add(window, 100) // pushes the first hundred out
	k.add(q, queue.Receipt{Duplicates: 2}, "100", "1099")
	q = k.reopen("a")
	k.add(q, queue.Receipt{Duplicates: 2}, "100", "1099")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
}

func repeatsAfterRestart(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	k.add(q, queue.Receipt{Accepted: 1, Duplicates: 2}, "1", "3", "2")
	k.deliver(q, k.fetchAll(q, 3)...)
	q = k.reopen("a")
	k.add(q, queue.Receipt{Accepted: 1, Duplicates: 3}, "3", "4", "1", "2")
	k.count(q, 9, 5, 4, 0, 3, 0, 0, 1)
}
