package backfill_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/backfill"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// store keeps the ids of events, as a queue would.
type store struct {
	ids     map[string]bool
	batches []int
	fail    func(batch int) error // before it is stored
	lose    func(batch int) error // afterwards
}

func (s *store) put(_ context.Context, body []byte) (r queue.Receipt, err error) {
	var batch struct {
		Events []struct {
			ID   string `json:"id"`
			Type string `json:"event_type"`
		}
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return r, err
	}
	if s.fail != nil {
		if err := s.fail(len(s.batches)); err != nil {
			return r, err
		}
	}
	for _, e := range batch.Events {
		if e.Type != batch.Events[0].Type {
			return r, errors.New("two types in a batch")
		}
		if s.ids[e.ID] {
			r.Duplicates++
			continue
		}
		s.ids[e.ID] = true
		r.Accepted++
	}
	s.batches = append(s.batches, len(batch.Events))
	if s.lose != nil {
		err = s.lose(len(s.batches))
	}
	return r, err
}

// export writes two types, 250 records each in two files, and returns what
// backfills them.
func export(t *testing.T) (backfill.Config, *store) {
	dir := t.TempDir()
	for i, name := range []string{"users.messages.email.Open", "users.messages.email.Send"} {
		for part := range 2 {
			var lines bytes.Buffer
			for n := range 125 {
				fmt.Fprintf(&lines, `{"id":"%d-%d-%d","time":%d,"user_id":"u"}`+"\n", i, part, n, 1000+n)
			}
			path := filepath.Join(dir, "event_type="+name, fmt.Sprintf("part-%d.json", part))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			text := lines.Bytes()
			if part == 1 {
				path += ".gz"
				var zipped bytes.Buffer
				z := gzip.NewWriter(&zipped)
				_, err := z.Write(text)
				require.NoError(t, errors.Join(err, z.Close()))
				text = zipped.Bytes()
			}
			require.NoError(t, os.WriteFile(path, text, 0o600))
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "_SUCCESS"), nil, 0o600))
	s := &store{ids: map[string]bool{}}
	return backfill.Config{
		Connector: "a", Files: []string{dir}, Glossary: journeytest.Glossary(t), Progress: filepath.Join(t.TempDir(), "progress"), Store: s.put, Stderr: io.Discard,
	}, s
}

func TestBackfill(t *testing.T) {
	cfg, s := export(t)
	var stderr, out bytes.Buffer
	cfg.Stderr = &stderr
	sum, err := backfill.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, s.ids, 500)
	require.Equal(t, []int{100, 100, 50, 100, 100, 50}, s.batches)
	require.Equal(t, backfill.Count{Accepted: 500}, sum.Sum)
	require.True(t, sum.Whole())
	sum.Print(&out)
	require.Contains(t, out.String(), "       250           0         0     0           0 users.messages.email.Send\n")
	require.Contains(t, stderr.String(), "1 files are not read")

	// All is done; with another progress file all are duplicates.
	sum, err = backfill.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, 500, sum.Sum.Accepted)
	require.Len(t, s.batches, 6)
	cfg.Progress += "2"
	sum, err = backfill.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, backfill.Count{Duplicates: 500}, sum.Sum)
}

// TestNoBatchIsTooLarge has events of which two fill a batch as exactly as can be.
func TestNoBatchIsTooLarge(t *testing.T) {
	cfg, s := export(t)
	const event = `{"event_type":"users.messages.email.Open","id":"0","properties":{"campaign_name":""},"time":1,"user":{}}`
	for _, spare := range []int{-1, 0, 6, 12, 40, 60} {
		name := strings.Repeat("x", 1<<19-len(event)-spare)
		var lines strings.Builder
		for id := range 3 {
			fmt.Fprintf(&lines, `{"id":"%d","time":1,"campaign_name":"%s"}`+"\n", id, name)
		}
		file := casefile.Temp(t, "part.json", lines.String())
		cfg.Files, cfg.AsType, cfg.Progress = []string{file}, "users.messages.email.Open", file+".progress"
		cfg.Store = func(ctx context.Context, body []byte) (queue.Receipt, error) {
			if len(body) > 1<<20 {
				return queue.Receipt{}, backfill.ErrTooLarge
			}
			return s.put(ctx, body)
		}
		sum, err := backfill.Run(t.Context(), cfg)
		require.NoError(t, err, spare)
		require.Equal(t, 3, sum.Sum.Accepted+sum.Sum.Duplicates, spare)
		require.True(t, sum.Whole())
	}
	require.Contains(t, s.batches, 2, "two events fit with some bytes to spare")
}

// TestGoesOn ends runs in every way in which they can end, and continues each.
func TestGoesOn(t *testing.T) {
	broken := errors.New("out of order")
	for name, c := range map[string]struct {
		fail, lose func(int) error
		cancel     bool
		sent       int // batches, in both runs
		duplicates int
	}{
		"an error":             {fail: func(n int) error { return when(n == 2, broken) }, sent: 6},
		"a lost answer":        {lose: func(n int) error { return when(n == 3, broken) }, sent: 7, duplicates: 50},
		"no response":          {lose: func(n int) error { return when(n == 1, backfill.ErrAway) }, sent: 7, duplicates: 100},
		"Ctrl-C":               {cancel: true, sent: 6},
		"a first refused call": {fail: func(n int) error { return when(n == 0, backfill.ErrAway) }, sent: 6},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, s := export(t)
			s.fail, s.lose = c.fail, c.lose
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancel {
				s.lose = func(n int) error {
					if n == 2 {
						cancel()
					}
					return nil
				}
			}
			_, err := backfill.Run(ctx, cfg)
			require.Error(t, err)
			require.NotEqual(t, 500, len(s.ids))
			s.fail, s.lose = nil, nil
			sum, err := backfill.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.Len(t, s.ids, 500)
			require.Len(t, s.batches, c.sent)
			require.Equal(t, backfill.Count{Accepted: 500 - c.duplicates, Duplicates: c.duplicates}, sum.Sum)
		})
	}
}

func when(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// TestTornProgress cuts the progress file at many places, as a kill may.
func TestTornProgress(t *testing.T) {
	cfg, _ := export(t)
	_, err := backfill.Run(t.Context(), cfg)
	require.NoError(t, err)
	whole := casefile.Text(t, cfg.Progress)
	for cut := strings.IndexByte(whole, '\n') + 1; cut < len(whole); cut += 29 {
		require.NoError(t, os.WriteFile(cfg.Progress, []byte(whole[:cut]), 0o600))
		s := &store{ids: map[string]bool{}}
		cfg.Store = s.put
		sum, err := backfill.Run(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, 500, sum.Sum.Accepted, cut)
		require.Equal(t, whole, casefile.Text(t, cfg.Progress))
	}
}

func TestChoice(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*backfill.Config)
		chosen backfill.Count
		wrong  string
	}{
		"from":            {set: func(c *backfill.Config) { c.From = time.Unix(1100, 0) }, chosen: backfill.Count{Accepted: 100, NotChosen: 400}},
		"to":              {set: func(c *backfill.Config) { c.To = time.Unix(1100, 0) }, chosen: backfill.Count{Accepted: 400, NotChosen: 100}},
		"type":            {set: func(c *backfill.Config) { c.Type = "*.Open" }, chosen: backfill.Count{Accepted: 250}},
		"a wrong pattern": {set: func(c *backfill.Config) { c.Type = "[" }, wrong: "no pattern"},
		"no such file":    {set: func(c *backfill.Config) { c.Files = []string{"missing"} }, wrong: "missing"},
		"no file":         {set: func(c *backfill.Config) { c.Files = []string{t.TempDir()} }, wrong: "no file to read"},
		"a wrong as-type": {set: func(c *backfill.Config) { c.AsType = "users.fax.Sent" }, wrong: "users.fax.Sent"},
		"standard input": {set: func(c *backfill.Config) {
			c.Files, c.AsType, c.Stdin = []string{"-"}, "users.messages.email.Open", strings.NewReader(`{"id":"a","time":1}`)
		}, chosen: backfill.Count{Accepted: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := export(t)
			c.set(&cfg)
			sum, err := backfill.Run(t.Context(), cfg)
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.chosen, sum.Sum)
			text := casefile.Text(t, cfg.Progress)
			whole := strings.TrimSuffix(text, "{\"finished\":true}\n")
			require.NotEqual(t, len(text), len(whole))
			require.NoError(t, os.WriteFile(cfg.Progress, []byte(whole), 0o600))
			cfg.Connector = "b"
			_, err = backfill.Run(t.Context(), cfg)
			require.ErrorContains(t, err, "belongs to another backfill")
			require.NoError(t, os.WriteFile(cfg.Progress, []byte(text), 0o600))
			_, err = backfill.Run(t.Context(), cfg)
			require.NoError(t, err, "the other one has finished")
		})
	}
}

func TestBroken(t *testing.T) {
	cfg, s := export(t)
	dir := filepath.Join(cfg.Files[0], "event_type=users.messages.email.Open")
	lines := `{"id":"good","time":1,"carrier":"c"}` + "\n" + `{"id":` + "\n" + `{"time":1}` + "\n" + `{"id":"large","time":1,"campaign_name":"` + strings.Repeat("x", 1<<20) + `"}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.json"), []byte(lines), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.avro"), []byte("Obj\x01"), 0o600))
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "c.json"))) // a directory cannot be read
	put := s.put
	cfg.Store = func(ctx context.Context, body []byte) (queue.Receipt, error) {
		if len(body) > 1<<20 {
			return queue.Receipt{}, backfill.ErrTooLarge
		}
		return put(ctx, body)
	}
	var stderr, out bytes.Buffer
	cfg.Stderr = &stderr
	sum, err := backfill.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.False(t, sum.Whole())
	require.Equal(t, 3, sum.Broken)
	require.Equal(t, 2, sum.BrokenFiles)
	require.Equal(t, 501, sum.Sum.Accepted)
	require.Equal(t, map[string]map[string]int{"users.messages.email.Open": {"carrier": 1}}, sum.LeftOut)
	for _, text := range []string{"a.json: record 2: no JSON", "a.json: record 3: the record has no id", "b.avro: the header", "c.json: ", "too large"} {
		require.Contains(t, stderr.String(), text)
	}
	sum.Print(&out)
	require.Contains(t, out.String(), "skipped: 3 broken records, and 2 files")
	require.Contains(t, out.String(), "users.messages.email.Open: carrier (1)")
}

// TestRate holds events to a rate, with a fake clock.
func TestRate(t *testing.T) {
	cfg, _ := export(t)
	synctest.Test(t, func(t *testing.T) {
		cfg.Rate = 10
		begin := time.Now()
		busy := 5
		put := cfg.Store
		cfg.Store = func(ctx context.Context, body []byte) (queue.Receipt, error) {
			if busy--; busy > 0 {
				return queue.Receipt{}, backfill.ErrLater
			}
			return put(ctx, body)
		}
		_, err := backfill.Run(t.Context(), cfg)
		require.NoError(t, err)
		require.InDelta(t, 40, time.Since(begin).Seconds(), 1, "500 events, of them 100 at once")
	})
}

// TestBridge asks an admin address that answers in all ways.
func TestBridge(t *testing.T) {
	status, text := http.StatusOK, `{"accepted":3,"duplicates":2,"filtered":1,"dead":1}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" || r.URL.String() != "/api/backfill?connector=a+b" {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}))
	put := backfill.Bridge(jsoncall.API{Base: server.URL, Token: "t"}, "a b")
	r, err := put(t.Context(), []byte("{}"))
	require.NoError(t, err)
	require.Equal(t, queue.Receipt{Accepted: 3, Duplicates: 2, Filtered: 1, Dead: 1}, r)
	for code, want := range map[int]error{503: backfill.ErrLater, 413: backfill.ErrTooLarge, 404: nil} {
		status, text = code, `{"error":"why"}`
		_, err = put(t.Context(), []byte("{}"))
		require.ErrorContains(t, err, "why")
		for _, kind := range []error{backfill.ErrLater, backfill.ErrTooLarge, backfill.ErrAway} {
			require.Equal(t, kind == want, errors.Is(err, kind), "%v %v", err, kind)
		}
	}
	server.Close()
	_, err = put(t.Context(), []byte("{}"))
	require.ErrorIs(t, err, backfill.ErrAway)
}
