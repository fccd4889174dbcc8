package dial_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/dial"
	"nautes.io/nautes/internal/secrets"
)

func TestCheck(t *testing.T) {
	errServer := errors.New("no server")
	good := client.Connection{APIServer: "https://git.example.com/sub/api/v9/", Token: secrets.NewValue([]byte("t"))}
	with := func(change func(*client.Connection)) client.Connection {
		c := good
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		connection  client.Connection
		want        error
		wantTimeout time.Duration
	}{
		"good":              {connection: good, wantTimeout: 10 * time.Second},
		"a time-out":        {connection: with(func(c *client.Connection) { c.Timeout = time.Second }), wantTimeout: time.Second},
		"no server":         {connection: with(func(c *client.Connection) { c.APIServer = "git.example.com" }), want: errServer},
		"credentials":       {connection: with(func(c *client.Connection) { c.APIServer = "https://u:p@git.example.com" }), want: errServer},
		"a fragment":        {connection: with(func(c *client.Connection) { c.APIServer = "https://git.example.com#a" }), want: errServer},
		"no token":          {connection: with(func(c *client.Connection) { c.Token = secrets.Value{} }), want: dial.ErrToken},
		"a token of UTF-8":  {connection: with(func(c *client.Connection) { c.Token = secrets.NewValue([]byte("é")) }), want: dial.ErrToken},
		"a token of lines":  {connection: with(func(c *client.Connection) { c.Token = secrets.NewValue([]byte("a\nb")) }), want: dial.ErrToken},
		"no certificate":    {connection: with(func(c *client.Connection) { c.CABundle = "none" }), want: dial.ErrCA},
		"an address of SSH": {connection: with(func(c *client.Connection) { c.APIServer = "ssh://git@git.example.com" }), want: errServer},
	} {
		wrapped := false
		got, err := dial.Check(test.connection, "/api/v9", errServer, func(next http.RoundTripper) http.RoundTripper { wrapped = true; return next })
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
			continue
		}
		if err != nil {
			continue
		}
		if got.Server != "https://git.example.com/sub" || got.Token != "t" || got.HTTP.Timeout != test.wantTimeout || !wrapped {
			t.Errorf("%s: %+v with the time-out %s, wrapped: %v", name, got, got.HTTP.Timeout, wrapped)
		}
		if err := got.HTTP.CheckRedirect(nil, nil); !errors.Is(err, http.ErrUseLastResponse) {
			t.Errorf("%s: redirects are followed: %v", name, err)
		}
	}
}

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"the request was cancelled":               context.Canceled,
		"the certificate of Forge is not trusted": &tls.CertificateVerificationError{Err: errors.New("http://u:secret@proxy")},
		"Forge does not answer in time":           context.DeadlineExceeded,
		"the answer is too long":                  dial.ErrTooLong,
		"Forge cannot be reached":                 errors.New("dial http://u:secret@proxy"),
	} {
		if got := dial.Reason("Forge", fmt.Errorf("get: %w", err)); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for message, want := range map[string]string{
		"":                             "",
		"two\n lines\x00":              "two lines",
		"see https://me:pass@git/a":    "see https://***@git/a",
		"the token s3cret is bad":      "the token *** is bad",
		strings.Repeat("x", 201):       strings.Repeat("x", 200) + "…",
		strings.Repeat("x", 199) + "é": strings.Repeat("x", 199) + "…",
	} {
		if got := dial.Clean(message, "", "s3cret"); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	for value, want := range map[string]struct {
		after time.Duration
		ok    bool
	}{
		"": {}, "0": {}, "-1": {}, "soon": {},
		"7":                                {7 * time.Second, true},
		soon.UTC().Format(http.TimeFormat): {time.Hour, true},
		"Mon, 02 Jan 2006 15:04:05 GMT":    {0, true},
	} {
		after, ok := dial.RetryAfter(http.Header{"Retry-After": {value}})
		if ok != want.ok || after > want.after || want.after-after > time.Minute {
			t.Errorf("%q: %s, %v, want %s, %v", value, after, ok, want.after, want.ok)
		}
	}
}
