// Package backfill brings Braze's storage exports of Currents into a connector's
// queue: it reads the files (internal/storageexport), hands the events on in
// batches as small as Braze's, one at a time, and notes in a file how far it
// has come.
package backfill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// What a Store's error may wrap; any other ends the backfill.
var (
	// ErrLater means that nothing was stored, and that a retry may succeed.
	ErrLater = errors.New("not now")
	// ErrAway means that there was no response: the batch may be stored or not.
	ErrAway = errors.New("no answer")
	// ErrTooLarge means that the batch is larger than is taken.
	ErrTooLarge = errors.New("too large")
)

// Store stores a body {"events":[…]} and returns once it is on disk.
type Store func(ctx context.Context, body []byte) (queue.Receipt, error)

// Bridge returns a Store that hands batches to a running bridge, over its admin
// side.
func Bridge(api jsoncall.API, connector string) Store {
	path := "/api/backfill?" + url.Values{"connector": {connector}}.Encode()
	return func(ctx context.Context, body []byte) (r queue.Receipt, err error) {
		err = api.Do(ctx, http.MethodPost, path, json.RawMessage(body), &r)
		var answer *jsoncall.StatusError
		switch away := (*url.Error)(nil); {
		case errors.As(err, &away):
			return r, fmt.Errorf("%w: no bridge answers on %s (--admin says where): %w", ErrAway, api.Base, away.Err)
		case !errors.As(err, &answer):
		case answer.Status == http.StatusServiceUnavailable:
			return r, fmt.Errorf("%w: %w", ErrLater, err)
		case answer.Status == http.StatusRequestEntityTooLarge:
			return r, fmt.Errorf("%w: %w", ErrTooLarge, err)
		}
		return r, err
	}
}

// Config says what is to be backfilled. Connector, Files, Glossary, Progress, Store
// and Stderr are needed.
type Config struct {
	Connector string
	Files     []string  // files, directories, or - for Stdin
	Stdin     io.Reader // where Files has -
	Glossary  *schemas.Glossary
	Progress  string // file that is written as it goes, and read at the start
	Store     Store

	From, To time.Time // only events of that time, To not included; zero: no bound
	Type     string    // only event types of this pattern, as in path.Match; "": all
	AsType   string    // event type of files that do not say theirs
	Rate     float64   // events a second at most; 0: no bound
	Stderr   io.Writer // progress, and what is broken
}

// A batch is no larger than Braze's, so that a batch of Braze that is stored
// beside it waits no longer than for another of Braze; and with what stands around
// its events it is below the least max_body.
const (
	batchEvents = 100
	batchBytes  = 1<<20 - 100
)

// patience is how long ErrAway may go on once something was stored.
const patience = time.Minute

// maxNamed is how many broken records and files are named one by one.
const maxNamed = 100

// Run backfills until all is done, and returns the summary of this run and of
// those before that the progress file knows. Run again after an error or after
// the end of ctx, it goes on where it was.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	if _, err := path.Match(cfg.Type, ""); err != nil {
		return Summary{}, fmt.Errorf("type: %q is no event type and no pattern such as users.messages.email.*", cfg.Type)
	}
	reader, err := storageexport.New(cfg.Glossary, cfg.AsType)
	if err != nil {
		return Summary{}, err
	}
	files, total, err := find(cfg)
	if err != nil {
		return Summary{}, err
	}
	notes, err := openNotes(cfg)
	if err != nil {
		return Summary{}, err
	}
	r := &run{Config: cfg, reader: reader, notes: notes, limit: rate.NewLimiter(rate.Inf, batchEvents), total: total, began: time.Now()}
	if cfg.Rate > 0 {
		r.limit.SetLimit(rate.Limit(cfg.Rate))
	}
	live := progress.Show(cfg.Stderr, r.line)
	for _, file := range files {
		if err = r.file(ctx, file); err != nil {
			break
		}
	}
	if err == nil {
		err = r.flush(ctx)
	}
	if err == nil {
		err = notes.finish()
	}
	live.Stop()
	if r.named > maxNamed {
		fmt.Fprintf(cfg.Stderr, "backfill: and %d more\n", r.named-maxNamed)
	}
	err = errors.Join(err, notes.file.Sync(), notes.file.Close())
	return notes.summary(reader.LeftOut(), r.unread), err
}

// run is one run of a backfill.
type run struct {
	Config
	reader  *storageexport.Reader
	notes   *notes
	limit   *rate.Limiter
	reached bool // something was stored

	body   []byte // events of one type, as Braze's batches have, each with a comma
	events int    // in body
	typ    string
	next   entry // what is noted once they are stored
	named  int
	unread int // files that could not be opened or read by the system

	began  time.Time
	total  int64        // bytes
	read   atomic.Int64 // bytes
	stored atomic.Int64 // events
	waits  atomic.Value // string: why nothing is stored now
}

// file reads one file from where it was left.
func (r *run) file(ctx context.Context, f file) error {
	from := r.notes.at[f.path]
	if from.Size != f.size { // another file by now
		from = position{}
	}
	if name := storageexport.TypeOf(f.path); from.Done || name != "" && !r.wants(name) {
		r.total -= f.size
		return nil
	}
	in := r.Stdin
	if f.path != stdin {
		opened, err := os.Open(f.path)
		if err != nil {
			r.unread++
			r.name(err.Error())
			return nil
		}
		defer opened.Close()
		in = opened
	}
	source := &counted{Reader: in, n: &r.read}
	var ended error // by this program, not by the file
	_, err := r.reader.Read(f.path, source, func(rec storageexport.Record) error {
		if rec.Number > from.Record {
			ended = r.record(ctx, f, rec)
		}
		return ended
	})
	switch {
	case ended != nil:
		return ended
	case source.err != nil: // the next run tries again
		r.unread++
		r.name(fmt.Sprintf("%s: %v", f.path, source.err))
		return nil
	case err != nil:
		r.next.BrokenFiles++
		r.name(fmt.Sprintf("%s: %v", f.path, err))
	}
	r.next.place(f).Done = true
	if len(r.next.At) > batchEvents {
		return r.flush(ctx)
	}
	return nil
}

type counted struct {
	io.Reader
	n   *atomic.Int64
	err error // other than the end
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// record adds one record of a file to the batch.
func (r *run) record(ctx context.Context, f file, rec storageexport.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case rec.Err != nil:
		r.next.Broken += rec.Lost
		r.name(fmt.Sprintf("%s: record %d: %v", f.path, rec.Number, rec.Err))
	case !r.wants(rec.Type) || !r.within(rec.Time):
		r.next.of(rec.Type).NotChosen++
	default:
		if r.events > 0 && (rec.Type != r.typ || len(r.body)+len(rec.Event) > batchBytes) {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
		r.body = append(append(r.body, rec.Event...), ',')
		r.events, r.typ = r.events+1, rec.Type
	}
	r.next.place(f).Record = rec.Number
	if r.events >= batchEvents {
		return r.flush(ctx)
	}
	return nil
}

func (r *run) wants(eventType string) bool {
	if r.Type == "" {
		return true
	}
	ok, _ := path.Match(r.Type, eventType) // Run has looked at the pattern
	return ok
}

func (r *run) within(seconds int64) bool {
	at := time.Unix(seconds, 0)
	return (r.From.IsZero() || !at.Before(r.From)) && (r.To.IsZero() || at.Before(r.To))
}

// flush stores the batch, and then notes how far the backfill has come. An event
// that is too large by itself is skipped.
func (r *run) flush(ctx context.Context) error {
	if r.events > 0 {
		body := append([]byte(`{"events":[`), bytes.TrimSuffix(r.body, []byte{','})...)
		receipt, err := r.store(ctx, append(body, "]}"...), r.events)
		switch {
		case err == nil:
			r.next.of(r.typ).add(Count{Accepted: receipt.Accepted, Duplicates: receipt.Duplicates, Filtered: receipt.Filtered, Dead: receipt.Dead})
			r.stored.Add(int64(r.events))
		case errors.Is(err, ErrTooLarge) && r.events == 1:
			last := r.next.At[len(r.next.At)-1]
			r.next.Broken++
			r.name(fmt.Sprintf("%s: an event at or before record %d: %v", last.File, last.Record, err))
		default:
			return err
		}
	}
	err := r.notes.write(&r.next)
	r.next, r.body, r.events = entry{}, r.body[:0], 0
	return err
}

// longestCall bounds one attempt to store a batch. The end of ctx does not cut it
// short: what is stored is to be noted.
const longestCall = 30 * time.Second

// store stores a body, and tries again where that may help.
func (r *run) store(ctx context.Context, body []byte, events int) (queue.Receipt, error) {
	if err := r.limit.WaitN(ctx, events); err != nil {
		return queue.Receipt{}, err
	}
	defer r.waits.Store("")
	begin := time.Now()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestCall)
		receipt, err := r.Store(call, body)
		cancel()
		switch {
		case err == nil:
			r.reached = true
			return receipt, nil
		case errors.Is(err, ErrLater):
		case errors.Is(err, ErrAway) && r.reached && time.Since(begin) < patience:
		default:
			return queue.Receipt{}, err
		}
		r.waits.Store(err.Error())
		select {
		case <-ctx.Done():
			return queue.Receipt{}, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// name names what is broken, the first ones only.
func (r *run) name(text string) {
	if r.named++; r.named <= maxNamed {
		fmt.Fprintf(r.Stderr, "backfill: skipped: %s\n", text)
	}
}

// line says how far the run is: events, their rate since its start, and what is
// left by the bytes of the files.
func (r *run) line(now time.Time) string {
	events, read, since := r.stored.Load(), r.read.Load(), now.Sub(r.began)
	text := fmt.Sprintf("backfill: %s, %s/s", progress.Count("events")(events), progress.Count("events")(int64(float64(events)/max(since.Seconds(), 1e-3))))
	if r.total > 0 && read > 0 {
		left := time.Duration(float64(since) * float64(max(0, r.total-read)) / float64(read))
		text += fmt.Sprintf(", %d %% of %s, %s left", min(100, read*100/r.total), progress.Bytes(r.total), left.Round(time.Second))
	}
	if why, _ := r.waits.Load().(string); why != "" {
		text += "; waits: " + why
	}
	return text
}

// stdin is what names standard input.
const stdin = "-"

// file is a file to read; its size is 0 for standard input.
type file struct {
	path string
	size int64
}

var endings = []string{".avro", ".json", ".jsonl", ".ndjson"}

// find finds the files that the arguments name, with their bytes: of a directory
// those that are called *.avro, *.json, *.jsonl or *.ndjson, or these with .gz,
// at any depth and in order. Paths are absolute, as the progress file has them.
func find(cfg Config) (files []file, total int64, err error) {
	others := 0
	for _, arg := range cfg.Files {
		if arg == stdin {
			files = append(files, file{path: stdin})
			continue
		}
		root, err := filepath.Abs(arg)
		if err != nil {
			return nil, 0, err
		}
		err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if path != root && !slices.Contains(endings, filepath.Ext(strings.TrimSuffix(path, ".gz"))) {
				others++
				return nil
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			files, total = append(files, file{path, info.Size()}), total+info.Size()
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	if others > 0 {
		fmt.Fprintf(cfg.Stderr, "backfill: %d files are not read: their names do not end in %s or these with .gz\n", others, strings.Join(endings, ", "))
	}
	if len(files) == 0 {
		return nil, 0, errors.New("there is no file to read")
	}
	return files, total, nil
}
