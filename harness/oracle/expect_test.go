package oracle_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func TestFate(t *testing.T) {
	rules := map[string]oracle.Rules{
		"events": {}, "webhook": {Webhook: true},
		"dead": {MissingExternalUserID: oracle.Dead}, "drop": {MissingExternalUserID: oracle.Filtered},
	}
	fates := map[string]oracle.Fate{"deliver": oracle.Deliver, "dead": oracle.Dead, "filtered": oracle.Filtered}
	for _, row := range casefile.Read(t, "testdata/fates.txt", 4) {
		got, err := oracle.Expect([]byte(row[0]), rules[row[1]])
		require.NoError(t, err, row)
		require.Equal(t, fates[row[2]], got.Fate, row)
		require.Equal(t, row[3], got.Reason, row)
		require.Equal(t, row[2] == "deliver", got.Arrives != nil, row)
	}
	_, err := oracle.Expect([]byte(`{"a":1} 2`), oracle.Rules{})
	require.ErrorContains(t, err, "not JSON")
}

func TestTimestamp(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/timestamps.txt", 3) {
		got, differs := oracle.Timestamp(decoded(t, row[0]))
		require.Equal(t, row[1:], []string{got, strconv.FormatBool(differs)}, row[0])
	}
}

func TestSumTellsApartWhatDiffers(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/values.txt", 3) {
		one, other := decoded(t, row[1]), decoded(t, row[2])
		require.Equal(t, row[0] == "same", oracle.SumOf(one) == oracle.SumOf(other), row)
		require.Equal(t, row[0] == "same", oracle.Diff(one, other, oracle.Exact, 1) == nil, row)
	}
	require.Empty(t, oracle.Diff(decoded(t, `[1.0,1e5,9007199254740993,-0]`), decoded(t, `[1,100000,9007199254740992,0]`), oracle.Float, 5))
	require.NotEmpty(t, oracle.Diff(decoded(t, `1.5`), decoded(t, `1.25`), oracle.Float, 5))
}

func decoded(t *testing.T, text string) any {
	v, err := oracle.Decode([]byte(text))
	require.NoError(t, err)
	return v
}

func TestDiffNamesThePlace(t *testing.T) {
	want, got := decoded(t, `{"a":{"b/c":1,"d":[1,2]},"gone":true}`), decoded(t, `{"a":{"b/c":1.0,"d":[1,3]},"new":null}`)
	require.Equal(t, []string{
		"/a/b~1c: want 1, got 1.0",
		"/a/d/1: want 2, got 3",
		"/gone: want true, got nothing",
		"/new: want nothing, got null",
	}, oracle.Diff(want, got, oracle.Exact, 10))
	require.Len(t, oracle.Diff(want, got, oracle.Exact, 2), 2)
	require.Empty(t, oracle.Diff(want, want, oracle.Exact, 2))
}

func ExampleExpect() {
	event := `{"event_type":"users.messages.email.Open","id":"e1","time":1700000000,
	  "user":{"external_user_id":"ada"},"properties":{"email_address":"ada@example.com","link":"x"}}`
	want, err := oracle.Expect([]byte(event), oracle.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	properties, _ := json.Marshal(want.Arrives["properties"])
	traits, _ := json.Marshal(want.Arrives["traits"])
	fmt.Println(want.ID, want.Arrives["timestamp"], string(traits), string(properties))
	// Output: e1 2023-11-14T22:13:20.000Z {"email":"ada@example.com"} {"link":"x"}
}
