package population

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEverythingHasAnIDOfItsOwn(t *testing.T) {
	p := New(Config{Seed: 1})
	text, err := json.Marshal([]any{p, p.apps})
	require.NoError(t, err)
	ids := make(map[string]bool)
	for _, id := range regexp.MustCompile(`"ID":"([^"]*)","Name":"[^"]`).FindAllSubmatch(text, -1) {
		require.Regexp(t, `^([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|[0-9a-f]{24}|sku-\d{6})$`, string(id[1]))
		require.NotContains(t, ids, string(id[1]))
		ids[string(id[1])] = true
	}
	require.Len(t, ids, strings.Count(string(text), `"ID":`), "everything has a name")
	require.Greater(t, len(ids), 700)
	for _, channel := range Channels() {
		require.NotEmpty(t, p.Campaigns[channel], channel)
	}
}

func TestUsersStayThemselves(t *testing.T) {
	p := New(Config{Seed: 1})
	require.EqualValues(t, 10_000, p.Users())
	require.EqualValues(t, 20, New(Config{Users: 1}).Users(), "rounded up")
	platforms, anonymous := make(map[Platform]int), 0
	for i := range p.Users() {
		u := p.User(i)
		require.Equal(t, u, p.User(i+p.Users()))
		if !u.Identified {
			anonymous++
		}
		platforms[u.App.Platform]++
	}
	require.InDelta(t, 12, float64(anonymous)/100, 1.5)
	require.Len(t, platforms, 6)
	require.Greater(t, platforms[IOS], platforms[Roku])
}

func TestUserOn(t *testing.T) {
	p := New(Config{Seed: 1})
	for _, platform := range Platforms() {
		for i := range uint64(100) {
			require.Equal(t, platform, p.UserOn(i, platform, false).App.Platform)
			u := p.UserOn(i, platform, true)
			require.Equal(t, platform, u.App.Platform)
			require.True(t, u.Identified)
		}
	}
	nobody := New(Config{Seed: 1, AnonymousPercent: 100})
	require.False(t, nobody.UserOn(0, Web, true).Identified, "the search ends")
	everybody := New(Config{Seed: 1, AnonymousPercent: -1})
	for i := range uint64(500) {
		require.True(t, everybody.User(i).Identified)
	}
}

func TestIDs(t *testing.T) {
	d := Draw(9)
	require.Regexp(t, `^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`, string(AppendUpperUUID(nil, d)))
	require.Regexp(t, `^5f5e1000[0-9a-f]{16}$`, string(appendObjectID(nil, d, 0x5f5e1000)))
	for n := range 40 {
		require.Len(t, AppendHex(nil, d, n), n)
		require.Len(t, AppendDigits([]byte("+"), d, n), n+1)
	}
	require.NotEqual(t, strings.Repeat("0", 32), string(AppendHex(nil, d, 32)))
}

func TestDevicesAndPersonsAreTheirOwn(t *testing.T) {
	p := New(Config{Seed: 1, Users: 2000})
	ids := make(map[string]bool)
	more := 0
	see := func(id []byte) {
		require.False(t, ids[string(id)], "%s", id)
		ids[string(id)] = true
	}
	for i := range p.Users() {
		for life := range uint64(2) {
			u := p.Person(i, life)
			require.Equal(t, PlatformOf(i), u.App.Platform)
			require.Same(t, p.PlaceOf(i, life), u.Place)
			see(u.AppendID(nil))
			see(u.AppendExternalID(nil))
			see(u.AppendEmail(nil))
			for device := range u.Devices() {
				here := p.OnDevice(u, device)
				require.Equal(t, u.AppendID(nil), here.AppendID(nil))
				see(here.AppendDeviceID(nil))
				see(here.AppendAdID(nil))
				see(here.AppendPushToken(nil))
				here.Tokens = 3
				see(here.AppendPushToken(nil))
				more += min(device, 1)
			}
		}
		require.Equal(t, p.User(i), p.Person(i, 0))
	}
	require.InDelta(t, 4000*43/100, more, 200)
	require.Equal(t, p.Campaigns[Email][2], p.Campaign(Email, 2, ""))
	see([]byte(p.Campaign(Email, 10, "").ID))
	see([]byte(p.Campaign(Email, 11, "").ID))
	see([]byte(p.Campaign(SMS, 10, "").ID))
}
