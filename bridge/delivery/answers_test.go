package delivery

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClassifyNamesEveryStatus(t *testing.T) {
	named := map[int]verdict{
		400: refused, 401: misled, 403: misled, 404: misled, 413: tooLarge,
	}
	for status := -1; status <= 1000; status++ {
		want, ok := named[status]
		switch {
		case ok:
		case status >= 200 && status < 300:
			want = accepted
		case status >= 300 && status < 400:
			want = misled
		default: // 1XX, 402, 405, 429, 5XX, none, and whatever else may come
			want = retry
		}
		require.Equal(t, want, classify(status), "status %d", status)
	}
}

func TestReasonOnlyForWhatKills(t *testing.T) {
	require.Equal(t, "refused", refused.reason())
	require.Equal(t, "too_large", tooLarge.reason())
	for _, v := range []verdict{retry, accepted, misled} {
		require.Empty(t, v.reason())
	}
}

func TestStatusClass(t *testing.T) {
	for status, want := range map[int]string{
		0: "none", 101: "1xx", 200: "2xx", 299: "2xx", 301: "3xx", 429: "4xx", 503: "5xx", 99: "other", 600: "other",
	} {
		require.Equal(t, want, statusClass(status), "status %d", status)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, test := range map[string]struct {
		header, date string
		want         time.Duration
	}{
		"none":                       {"", "", 0},
		"seconds":                    {"7", "", 7 * time.Second},
		"seconds with spaces":        {" 7 ", "", 7 * time.Second},
		"zero":                       {"0", "", 0},
		"negative":                   {"-7", "", 0},
		"no number":                  {"soon", "", 0},
		"fraction":                   {"1.5", "", 0},
		"more than an hour":          {"86400", "", time.Hour},
		"more than fits a duration":  {"9223372036854775807", "", time.Hour},
		"more than fits an integer":  {"99999999999999999999", "", time.Hour},
		"date":                       {at(40 * time.Second), "", 40 * time.Second},
		"date in the past":           {at(-time.Minute), "", 0},
		"date years away":            {at(9e5 * time.Hour), "", time.Hour},
		"date by the answer's clock": {at(time.Hour), at(time.Hour - 9*time.Second), 9 * time.Second},
		"date, answer's Date broken": {at(40 * time.Second), "today", 40 * time.Second},
		"date in the older form":     {now.Add(time.Minute).Format(time.RFC850), "", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			header.Set("Retry-After", test.header)
			header.Set("Date", test.date)
			require.Equal(t, test.want, retryAfter(header, now))
		})
	}
}
