package vaulted_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// canary is a secret of the run.
type canary struct {
	// name of the canary in messages.
	name string
	// value is the secret, or a part of it that nothing else holds.
	value string
	// places are the Secrets that are meant to hold it, each as
	// <control plane> Secret <namespace>/<name>.
	places []string
}

// canaries are all secrets of the run, those that were replaced too.
type canaries struct {
	mu  sync.Mutex
	all []canary
}

func (c *canaries) add(one canary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
}

// make makes a secret that has a place in some Secrets, and returns its value.
func (c *canaries) make(name string, places ...string) string {
	value := "canary-" + rand.Text()
	c.add(canary{name: name, value: value, places: places})
	return value
}

// move says where a secret is from now on, which may be nowhere.
func (c *canaries) move(value string, places ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.all {
		if c.all[i].value == value {
			c.all[i].places = places
		}
	}
}

func (c *canaries) list() []canary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// in returns the names of the secrets that a text holds, each with its form.
func (c *canaries) in(text string) []string {
	var found []string
	for _, one := range c.list() {
		if form := holds(text, one.value); form != "" {
			found = append(found, one.name+" "+form)
		}
	}
	return found
}

// holds returns the form in which a text holds a secret; empty when it does not.
func holds(text, secret string) string {
	for _, form := range formsOf(secret) {
		if strings.Contains(text, form.text) {
			return form.name
		}
	}
	return ""
}

type form struct{ name, text string }

// formsOf returns the forms in which a secret could leak.
func formsOf(secret string) []form {
	quoted, _ := json.Marshal(secret)
	sum := hex.EncodeToString([]byte(secret))
	forms := []form{
		{"as it is", secret}, {"in JSON", strings.Trim(string(quoted), `"`)},
		{"in a query", url.QueryEscape(secret)}, {"in a path", url.PathEscape(secret)},
		{"in hexadecimal", sum}, {"in upper hexadecimal", strings.ToUpper(sum)},
		{"as numbers", strings.Trim(fmt.Sprint([]byte(secret)), "[]")},
		{"as JSON numbers", strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte(secret)), "[]"), " ", ",")},
	}
	for _, once := range encoded(secret) {
		forms = append(forms, form{"in base64", once})
		for _, twice := range encoded(once) {
			forms = append(forms, form{"in base64 twice", twice})
		}
	}
	return forms
}

// encoded returns the part of a secret that a text in base64 holds at any offset:
// as much as no other character has a part in, in both alphabets.
func encoded(secret string) []string {
	var found []string
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		whole := len(padded) / 3 * 3
		first := (before + 2) / 3 * 4
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			found = append(found, alphabet.EncodeToString(padded[:whole])[first:])
		}
	}
	return found
}

// The search finds a secret in all the forms in which it is searched for, and not
// where it is not.
func TestSearchFindsSecrets(t *testing.T) {
	const secret = "canary/+&\"x ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	b64 := base64.StdEncoding.EncodeToString
	texts := map[string]string{"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "hex": fmt.Sprintf("%x", secret), "HEX": fmt.Sprintf("%X", secret), "numbers": fmt.Sprint([]byte(secret))}
	quoted, _ := json.Marshal(map[string]any{"a": secret, "b": 1})
	texts["JSON"] = string(quoted)
	for _, before := range []string{"", "a", "ab", "abc"} {
		for _, after := range []string{"", "a", "ab"} {
			text := before + secret + after
			name := fmt.Sprintf("%d and %d", len(before), len(after))
			texts["base64 "+name] = b64([]byte(text))
			texts["base64url "+name] = base64.URLEncoding.EncodeToString([]byte(text))
			texts["base64 twice "+name] = b64([]byte(before + b64([]byte(text)) + after))
		}
	}
	for name, text := range texts {
		if holds("{"+text+"}", secret) == "" {
			t.Errorf("%s: %q is not seen", name, text)
		}
		if form := holds(text, "canary-of-another-kind"); form != "" {
			t.Errorf("%s: another secret is seen %s", name, form)
		}
	}
}
