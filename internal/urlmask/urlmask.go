// Package urlmask masks the secrets of a URL, such as a write key.
package urlmask

import (
	"net/url"
	"regexp"
	"strings"
)

// Mask stands for a secret wherever it would be shown.
const Mask = "****"

// URL is a URL as it may be shown: without the password and without the
// values of parameters that are secrets, such as the write key.
func URL(text string) string { return In(text, text, "") }

// In masks the token and the URL's secrets in a text from elsewhere, such as a
// response that repeats them.
func In(text, target, token string) string {
	for _, secret := range append(secretsOf(target), token) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, Mask)
		}
	}
	return text
}

func secretsOf(text string) []string {
	target, err := url.Parse(text)
	if err != nil {
		return []string{text}
	}
	var secrets []string
	if target.User != nil {
		password, _ := target.User.Password()
		_, behind, _ := strings.Cut(text, "://")
		written, _, _ := strings.Cut(behind, "@"+target.Host)
		secrets = append(secrets, written, password)
	}
	for part := range strings.SplitSeq(target.RawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		if !isSecret(name) {
			continue
		}
		secrets = append(secrets, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			secrets = append(secrets, plain)
		}
	}
	return secrets
}

var (
	secretName = regexp.MustCompile(`(?i)write_?key|apikey|token|secret|passw|auth|signature|credential`)
	keyName    = regexp.MustCompile(`(?i)^(.*[_-])?key$|^sig$`)
	scopeName  = regexp.MustCompile(`(?i)group|workspace`)
)

// isSecret says whether a query parameter is one, by its name. The key of an app
// group or workspace, by which Braze's users distinguish Currents, is none.
func isSecret(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	return secretName.MatchString(name) || keyName.MatchString(name) && !scopeName.MatchString(name)
}
