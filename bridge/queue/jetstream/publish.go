package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Headers that the server knows (NATS ADR-22, ADR-50).
const (
	headerID          = "Nats-Msg-Id"
	headerLast        = "Nats-Expected-Last-Subject-Sequence"
	headerBatch       = "Nats-Batch-Id"
	headerBatchPlace  = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// Errors of the server by their number (errors.json of nats-server).
const (
	codeAccountExceeded   = 10002
	codeInsufficient      = 10023
	codeMemoryExceeded    = 10028
	codeStorageExceeded   = 10047
	codeTooLarge          = 10054
	codeWrongLast         = 10071
	codeStandsAlone       = 10074 // replicas are asked of a server without a cluster
	codeStoreFailed       = 10077
	codeDuplicateUnderWay = 10158
	codeWrongLastReplica  = 10164
	codeBatchIncomplete   = 10176
	codeBatchDuplicate    = 10201
	codeBatchesUnderWay   = 10210
)

const (
	attemptTime = 3 * time.Second // one attempt of several within patience
	firstPause  = 20 * time.Millisecond
	longPause   = 500 * time.Millisecond
)

var (
	// errConflict means that another bridge was quicker.
	errConflict = errors.New("another bridge has changed it")
	// errRepeat means that a message of the batch is stored already.
	errRepeat = errors.New("it is stored already")
)

// ack is the server's word that messages are stored.
type ack struct {
	seq    uint64 // of the last one
	repeat bool   // it was stored before, there
}

// publish stores messages, all or none. It tries again while the servers do not
// answer, as long as its patience lasts; a message with an id is stored once.
func (s *Store) publish(ctx context.Context, messages ...*nats.Msg) (ack, error) {
	began := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		a, err := s.attempt(ctx, messages)
		if err == nil || !passing(err) {
			return a, err
		}
		if waited := time.Since(began); waited > s.opts.patience {
			return ack{}, fmt.Errorf("NATS has not stored it within %s, see whether its servers are up and have a leader: %w", waited.Round(time.Second), err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ack{}, ctx.Err()
		case <-s.done:
			return ack{}, queue.ErrClosed
		}
	}
}

// passing tells whether an error may be gone with the next attempt.
func passing(err error) bool {
	var p passingError
	return errors.As(err, &p)
}

type passingError struct{ error }

func (p passingError) Unwrap() error { return p.error }

func (s *Store) attempt(ctx context.Context, messages []*nats.Msg) (ack, error) {
	once, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	last := messages[len(messages)-1]
	if len(messages) > 1 {
		batch := nuid.Next()
		for i, m := range messages {
			m.Header.Set(headerBatch, batch)
			m.Header.Set(headerBatchPlace, strconv.Itoa(i+1))
		}
		last.Header.Set(headerBatchCommit, "1")
		for _, m := range messages[:len(messages)-1] {
			if err := s.nc.PublishMsg(m); err != nil {
				return ack{}, s.unreachable(ctx, err)
			}
		}
	}
	answer, err := s.nc.RequestMsgWithContext(once, last)
	if err != nil {
		return ack{}, s.unreachable(ctx, err)
	}
	var got struct {
		Error  *natsjs.APIError `json:"error"`
		Seq    uint64           `json:"seq"`
		Repeat bool             `json:"duplicate"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return ack{}, passingError{fmt.Errorf("NATS's answer: %w", err)}
	}
	if got.Error != nil {
		return ack{}, s.refusal(got.Error)
	}
	if got.Seq == 0 {
		return ack{}, passingError{errors.New("NATS's answer has no sequence")}
	}
	return ack{got.Seq, got.Repeat}, nil
}

// unreachable makes the error of a request that got no answer.
func (s *Store) unreachable(ctx context.Context, err error) error {
	select {
	case <-s.done:
		return queue.ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return fmt.Errorf("%w: %w", queue.ErrTooLarge, err)
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		return queue.ErrClosed
	}
	return passingError{err}
}

// refusal makes an error of the server's.
func (s *Store) refusal(e *natsjs.APIError) error {
	switch e.ErrorCode {
	case codeWrongLast, codeWrongLastReplica:
		return fmt.Errorf("%w: %w", errConflict, e)
	case codeBatchDuplicate:
		return fmt.Errorf("%w: %w", errRepeat, e)
	case codeTooLarge:
		return fmt.Errorf("%w: %w", queue.ErrTooLarge, e)
	case codeAccountExceeded, codeInsufficient, codeMemoryExceeded, codeStorageExceeded:
		return s.noRoom(e)
	case codeStoreFailed:
		if strings.Contains(e.Description, "maximum") { // of bytes or messages, as the stream is configured
			return s.noRoom(e)
		}
		return passingError{e}
	case codeDuplicateUnderWay, codeBatchIncomplete, codeBatchesUnderWay:
		return passingError{e}
	}
	const unavailable = 500
	if e.Code >= unavailable {
		return passingError{e}
	}
	return fmt.Errorf("NATS refuses to store it: %w", e)
}

// noRoom notes that the servers have refused something for want of room, and
// that the queues had better give some history up.
func (s *Store) noRoom(err error) error {
	s.full.Store(true)
	s.refusals.Add(1)
	return fmt.Errorf("%w: %w", queue.ErrFull, err)
}

// message makes a message whose header says e. With an id it is stored once
// however often it is sent.
func message(subject string, e entry, body []byte, id string) *nats.Msg {
	m := &nats.Msg{Subject: subject, Header: nats.Header{header: {e.encode()}}, Data: body}
	if id != "" {
		m.Header[headerID] = []string{id}
	}
	return m
}

// expect lets a message be stored only where the newest message of its subject is at seq; 0: where there is none.
func expect(m *nats.Msg, seq uint64) *nats.Msg {
	m.Header[headerLast] = []string{strconv.FormatUint(seq, 10)}
	return m
}
