package bytecheck

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/openapitest"
)

// values are documents of every kind, the unusual ones above all.
func values() []string {
	return []string{
		`null`, `true`, `false`, `0`, `-0`, `1`, `1.0`, `1e2`, `100`, `1.5`, `15e-1`, `10e-1`, `-3`, `0.30`, `0e-5`, `1E400`, `1e-400`, `0.0e9`, `1.5e1`, `1.25e1`, `120e-1`, `120e-2`,
		`9007199254740993`, `9007199254740992`, `123456789012345678901234567890`, `0.1`, `1e999999`, `5e-999999`,
		strings.Repeat("7", 1200) + ".5", strings.Repeat("7", 990) + ".55555555555555555555",
		`""`, `"a"`, `"ab"`, `"abc"`, `"ä"`, `"\u00e4b"`, `"😀"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud800\u0041"`, `"\u0000"`, "\"\xff\"", "\"\xff\xfe\"", "\"\xc3\"",
		`"\ufffd"`, "\"\ufffd\"", `"A"`, `"\u0041"`, `"<"`, `"\u003c"`, `" "`, `"\t"`, `"\u00a0"`, "\"\u3000x\"", `"a\/b"`, `"1"`, `"true"`,
		`"2026-01-31T09:30:00Z"`, `"2026-01-31T09:30:00+0530"`, `"2026-01-31"`, `"09:30:00"`, `"2026-1-31T9:30:00Z"`, `"2026-01-31T24:00:00Z"`, `"2026-01-31T09:30:00+25:00"`, `"a@example.com"`,
		`{}`, `{"a":1}`, `{"a":"x"}`, `{"a":null}`, `{"b":1}`, `{"a":1,"b":"x"}`, `{"a":"x","a":1}`, `{"a":1,"a":"x"}`, `{"\u0061":1}`, `{"\u0061":"x"}`, `{"a":1,"\u0061":"x"}`,
		`{"a":1,"b":2,"c":3}`, `{"c":"x","c":1}`, `{"c":1,"c":"x"}`, `{"c":1,"\u0063":2,"d":3}`, "{\"\xff\":1,\"\ufffd\":\"x\"}", `{"":1}`, `{"a":{"a":{"a":1}}}`, `{"a":{"a":{"a":"x"}}}`, `{"a":{"b":[]}}`, `{"next":{"next":{"a":"x"}}}`,
		`[]`, `[1]`, `[1,"x"]`, `["x"]`, `["x","y","z"]`, `[[1],[2,[3]]]`, `[{"a":1},{"a":"x"}]`, ` [ 1 , null ] `,
	}
}

// everySchema has each keyword that a Checker knows, alone and with others.
func everySchema() []string {
	return []string{
		`{}`, `{"title":"t","description":"d","examples":[1]}`,
		`{"type":"null"}`, `{"type":"boolean"}`, `{"type":"number"}`, `{"type":"integer"}`, `{"type":"string"}`, `{"type":"object"}`, `{"type":"array"}`, `{"type":["string","null"]}`, `{"type":["integer","object"]}`,
		`{"const":"ä"}`, `{"const":"<"}`, `{"const":"A"}`, `{"const":"\ufffd"}`, `{"enum":["a","\u0000"]}`, `{"type":"string","enum":["x"]}`,
		`{"minLength":1}`, `{"minLength":2}`, `{"minLength":0}`,
		`{"pattern":"^a"}`, `{"pattern":"[^\t\n\u000b\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"}`, `{"pattern":"[a-c]"}`, `{"pattern":"(?i)[a]"}`, `{"pattern":"(?i)A"}`, `{"pattern":"."}`, `{"pattern":"\ufffd"}`, `{"pattern":"^[^a]$"}`,
		`{"format":"date-time"}`, `{"type":["string","null"],"format":"date-time"}`,
		`{"required":["a"]}`, `{"required":["a","b"]}`, `{"required":[""]}`, `{"properties":{"a":{"type":"integer"}}}`, `{"properties":{"a":{"type":"string"}},"required":["a"]}`, `{"properties":{"":{"type":"string"},"\ufffd":{"type":"string"}}}`,
		`{"items":{"type":"integer"}}`, `{"items":{"type":"array","items":{"type":["integer","array"]}}}`,
		`{"anyOf":[{"type":"string"},{"required":["a"],"type":"object"}]}`,
		`{"$ref":"#/definitions/a","type":"null","definitions":{"a":{"type":"integer"}}}`, `{"properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"$ref":"#/definitions/y"},"y":{"type":"string"}}}`,
		`{"$schema":"http://json-schema.org/draft-07/schema#","$id":"https://example.com/x.json","properties":{"a":{"$ref":"#/definitions/i"}},"definitions":{"i":{"type":"integer"}}}`,
	}
}

// agree compiles a schema and holds what it says of documents against what a
// library says.
func agree(t testing.TB, schema string) func(t testing.TB, document []byte) {
	t.Helper()
	checker, err := Compile([]byte(schema))
	require.NoError(t, err, schema)
	library := openapitest.Schema(t, []byte(schema))
	var x Index
	return func(t testing.TB, document []byte) {
		t.Helper()
		if !x.Read(document) {
			return
		}
		found := checker.Check(&x)
		require.Equal(t, library(document) == nil, len(found) == 0, "%s against %s", document, schema)
		for _, f := range found {
			require.Regexp(t, "^expected .+, got .+", f.Detail)
		}
	}
}

func TestEveryKeywordAgreesWithALibrary(t *testing.T) {
	for _, schema := range everySchema() {
		compare := agree(t, schema)
		for _, document := range values() {
			compare(t, []byte(document))
		}
	}
}

func TestCompileRefusesWhatACheckerDoesNotKnow(t *testing.T) {
	for _, schema := range []string{
		`{"uniqueItems":true}`, `{"additionalProperties":false}`, `{"minimum":1}`, `{"allOf":[]}`, `{"properties":{"a":{"oneOf":[{}]}}}`,
		`{"items":[{}]}`, `{"items":{"minimum":1}}`, `{"const":{}}`, `{"const":5}`, `{"enum":"a"}`, `{"pattern":"("}`, `{"pattern":5}`, `{"properties":[]}`, `{"required":[5]}`, `{"anyOf":[5]}`,
		`{"anyOf":[{"minimum":1}]}`, `{"$ref":"other.json"}`, `{"$ref":"#/properties/a"}`, `{"$ref":"#/definitions/none"}`,
		`{"type":"text"}`, `{"type":5}`, `{"format":"email"}`, `{"minLength":1.5}`, `{"minItems":1}`, `5`, `{`,
	} {
		_, err := Compile([]byte(schema))
		require.Error(t, err, schema)
	}
}

// texts are documents that are JSON, nearly.
func texts() []string {
	return append(values(),
		``, ` `, "\ufeff{}", `nul`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`, `01`, `-`, `--1`, `1.`, `.5`, `1e`, `1e+`, `+1`, `1x`, `0x1`,
		`"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x00\"", `"`, `"\`, `"\"`, `"12345678`, `"1234567\`, `"1234567\"`, "\"1234567\x1f\"", "\"\x7f\x80\"", `"12345678\u000"`,
		`{}{}`, `{} {}`, `{} ]`, `1 ,`, `{1:2}`, `{"a":1`, `[`, `]`, `{`, `}`, `[}`, `{"a":1]`, `[1`, `{"a`, `tru`, `truee`, `{}`+"\x00", `{}`+"\v", "{}\r\n\t ", `"a"b`, `{"a":1;}`, `'a'`, `{'a':1}`, `//`, `NaN`,
	)
}

func agreeOnGrammar(t *testing.T, raw []byte) {
	t.Helper()
	var x Index
	ok := x.Read(raw)
	require.Equal(t, json.Valid(raw), ok, "%q", raw)
	if !ok {
		return
	}
	require.Equal(t, bytes.TrimSpace(raw), bytes.TrimSpace(x.Raw(0)))
	for n := range x.nodes {
		if x.Kind(Node(n)) == String {
			var want string
			require.NoError(t, json.Unmarshal(x.Raw(Node(n)), &want))
			require.Equal(t, want, string(x.Text(Node(n))))
		}
	}
}

func TestReadAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range texts() {
		agreeOnGrammar(t, []byte(text))
		agreeOnGrammar(t, []byte(` {"padding, to move the eight bytes":`+text+`, "b" : [`+text+`]}`))
	}
	var x Index
	for _, pair := range []string{"[]", "{}"} {
		opening, closing := pair[:1], pair[1:]
		if pair == "{}" {
			opening = `{"a":`
		}
		deep := func(n int) []byte {
			return []byte(strings.Repeat(opening, n) + "[]" + strings.Repeat(closing, n))
		}
		require.True(t, x.Read(deep(MaxDepth-1)))
		require.False(t, x.Read(deep(MaxDepth)))
		require.False(t, x.Read(deep(1_000_000)))
	}
}

func TestCheckAllListsUnknownMembers(t *testing.T) {
	checker, err := Compile([]byte(`{"properties":{"a":{"type":"object","properties":{"b":{}}},"c":{}}}`))
	require.NoError(t, err)
	var x Index
	for document, want := range map[string]string{
		`{"a":{"b":1},"c":{"d":1}}`:               "",
		`{"x":1,"a":{"y/z":1,"b":1},"c":{"z":1}}`: "/x=number 1 /a/y~1z=number 1",
		`{"a":{"y":1},"a":{"b":1}}`:               "",
		`{"x":1,"x":2,"\u0061":{"y\u0021":3}}`:    "/x=number 1 /x=number 2 /a/y!=number 3",
		`{"c":null}`:                              "",
	} {
		require.True(t, x.Read([]byte(document)))
		found, unknown := checker.CheckAll(&x)
		require.Empty(t, found, document)
		var got []string
		for _, u := range unknown {
			got = append(got, u.Path+"="+u.Detail)
		}
		require.Equal(t, want, strings.Join(got, " "), document)
	}
}
