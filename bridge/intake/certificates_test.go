package intake

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/certtest"
)

// pairFiles is a certificate with its key in files, as an operator has them.
type pairFiles struct{ cert, key string }

func newPair(t *testing.T, name string) pairFiles {
	dir := t.TempDir()
	f := pairFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	f.write(t, name)
	return f
}

func (f pairFiles) write(t *testing.T, name string) {
	cert, key := certtest.Named(t, name)
	require.NoError(t, os.WriteFile(f.cert, []byte(cert), 0o600))
	require.NoError(t, os.WriteFile(f.key, []byte(key), 0o600))
}

func (f pairFiles) certificates(t *testing.T, log io.Writer) *Certificates {
	c, err := NewCertificates(f.cert, f.key, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	return c
}

// A disk that hangs while one handshake reads the files stops no other.
func TestCertificateOnAHungDisk(t *testing.T) {
	c := newPair(t, "one").certificates(t, io.Discard)
	c.looking.Lock() // as that handshake holds it
	defer c.looking.Unlock()
	got := make(chan string, 1)
	go func() { got <- c.get(time.Now().Add(time.Hour)).Leaf.Subject.CommonName }()
	select {
	case name := <-got:
		require.Equal(t, "one", name)
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the disk")
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	var log bytes.Buffer
	files := newPair(t, "one")
	c := files.certificates(t, &log)
	now := time.Now()
	later := func() string {
		now = now.Add(lookAgain)
		return c.get(now).Leaf.Subject.CommonName
	}
	require.Equal(t, "one", later())
	files.write(t, "two")
	require.Equal(t, "one", c.get(now).Leaf.Subject.CommonName, "looked at again too soon")
	require.Equal(t, "two", later())
	require.Equal(t, "two", later())
	require.Equal(t, 1, strings.Count(log.String(), "a new certificate is in use"))

	cert, key := certtest.Named(t, "three")
	kept, err := os.Stat(files.cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.cert, []byte(cert), 0o600))
	for range 3 { // the key is not there yet
		require.Equal(t, "two", later())
	}
	require.Equal(t, 1, strings.Count(log.String(), "the old one is kept"), log.String())
	require.NoError(t, os.WriteFile(files.key, []byte(key), 0o600))
	require.NoError(t, os.Chtimes(files.cert, kept.ModTime(), kept.ModTime())) // as cp -p leaves it
	require.Equal(t, "three", later())

	require.NoError(t, os.Remove(files.key))
	for range 3 {
		require.Equal(t, "three", later())
	}
	require.Equal(t, 2, strings.Count(log.String(), "the old one is kept"), log.String())
	require.NotContains(t, log.String(), "PRIVATE")

	// Kubernetes puts the files behind a link to a directory and swaps the link.
	require.NoError(t, os.Rename(filepath.Dir(files.cert), filepath.Dir(files.cert)+"-old"))
	require.NoError(t, os.Symlink(filepath.Dir(newPair(t, "four").cert), filepath.Dir(files.cert)))
	require.Equal(t, "four", later())
}

func TestNewCertificatesRefuses(t *testing.T) {
	one, two := newPair(t, "one"), newPair(t, "two")
	for name, files := range map[string]pairFiles{
		"no such certificate": {one.cert + "x", one.key},
		"no such key":         {one.cert, one.key + "x"},
		"another's key":       {one.cert, two.key},
		"the wrong way round": {one.key, one.cert},
	} {
		_, err := NewCertificates(files.cert, files.key, nil)
		require.Error(t, err, name)
		require.True(t, strings.Contains(err.Error(), files.cert) || strings.Contains(err.Error(), files.key), err)
	}
}

func TestTLS(t *testing.T) {
	certs := newPair(t, "one").certificates(t, io.Discard)
	b := prepare(Config{MaxBody: 1 << 20})
	b.serve(t, 0, certs)
	b.url = strings.Replace(b.url, "http", "https", 1)
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	_, err := tls.Dial("tcp", b.url[len("https://"):], old)
	require.ErrorContains(t, err, "protocol version")

	for version, client := range map[int]*http.Client{1: tlsClient(t, false), 2: tlsClient(t, true)} {
		for range 2 { // the connection serves on after each answer
			for _, tt := range []struct {
				body, token, text string
				status            int
			}{
				{oneEvent, "secret", `"accepted"`, 200},
				{batch(event(`{"a":"` + strings.Repeat("x", 1<<19) + `"}`)), "secret", `"accepted"`, 200},
				{strings.Repeat(" ", 1<<19), "wrong", map[int]string{1: "the token"}[version], 401}, // no body over HTTP/2
				{"{" + strings.Repeat(" ", 1<<19), "secret", "not JSON", 400},
				{strings.Repeat(" ", 2<<20), "secret", "larger than", 413},
			} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/currents", strings.NewReader(tt.body))
				require.NoError(t, err)
				req.Header.Set("Authorization", "Bearer "+tt.token)
				resp, err := client.Do(req)
				require.NoError(t, err)
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				resp.Body.Close()
				require.Equal(t, tt.status, resp.StatusCode)
				require.Equal(t, version, resp.ProtoMajor)
				require.Contains(t, string(text), tt.text)
			}
		}
	}
	b.quiet(t)
	require.Equal(t, 400, answerOn(t, b.raw(t, post("", oneEvent))).StatusCode, "HTTP to a port of HTTPS")
	both, err := tls.Dial("tcp", b.url[len("https://"):], &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer both.Close()
	_, err = io.WriteString(both, strings.Replace(postChunked("", oneEvent), "Host", "Content-Length: 5\r\nHost", 1)+post("", oneEvent))
	require.NoError(t, err)
	require.Equal(t, []int{200}, statuses(answersOn(t, both, 30*time.Second)), "both Content-Length and Transfer-Encoding")
}

func tlsClient(t *testing.T, two bool) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: two}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}
