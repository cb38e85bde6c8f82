package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Connectors implements queue.Store.
func (s *Store) Connectors(ctx context.Context) ([]string, error) {
	if err := s.enterToRead(); err != nil {
		return nil, err
	}
	defer s.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyName}, UpperBound: []byte{keyName + 1}})
	if err != nil {
		return nil, fmt.Errorf("list connectors: %w", err)
	}
	var names []string
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		names = append(names, string(it.Key()[1:]))
	}
	return names, errors.Join(ctx.Err(), it.Error(), it.Close())
}
