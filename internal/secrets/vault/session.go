package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	"github.com/hashicorp/vault/api"

	"nautes.io/nautes/internal/secrets"
)

const (
	// renewPause is after what time a renewal that failed is tried again.
	renewPause = 5 * time.Second
	// loginPause is how old a session is at least that is given up, although it
	// is still good, because something was denied: the role may give more now.
	loginPause = time.Minute
	// maxCredential is the size of the longest file of a login.
	maxCredential = 64 << 10
)

// session is a login. It is not changed after it is made.
type session struct {
	client *api.Client
	token  string
	since  time.Time
	// renewAt and until, the end of the token; zero when it has none.
	renewAt, until time.Time
	ttl            time.Duration
	renewable      bool
}

// newSession returns a session whose token was asked for at a time, and is good
// for so long; 0: for ever. It ends a little before the token does, since what is
// asked for by then still has to arrive.
func newSession(client *api.Client, token string, since time.Time, ttl time.Duration, renewable bool) *session {
	s := &session{client: client, token: token, since: since, ttl: ttl, renewable: renewable}
	if ttl > 0 {
		s.renewAt, s.until = since.Add(ttl*2/3), since.Add(ttl*9/10)
	}
	return s
}

func (s *session) ended() bool { return !s.until.IsZero() && !time.Now().Before(s.until) }

// attempt is one try to get a session, which everybody waits for who needs one.
type attempt struct {
	done    chan struct{}
	session *session
	err     error
}

// obtain returns a session. refused is one by which something was refused, nil
// when there is none: it is returned when it is good nevertheless, so that the
// refusal stands.
func (v *Vault) obtain(ctx context.Context, refused *session) (*session, error) {
	v.mu.Lock()
	if s := v.session; s != nil && s != refused && !s.ended() {
		v.mu.Unlock()
		return s, nil
	}
	a := v.attempt
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		v.attempt = a
		// The one who happens to come first may go; the others still wait.
		go v.try(a, v.session)
	}
	v.mu.Unlock()
	select {
	case <-a.done:
		return a.session, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// try replaces the session in use, if there is one and it has to be.
func (v *Vault) try(a *attempt, old *session) {
	s, err := v.replace(v.life, old)
	v.mu.Lock()
	// Who has waited may look at the session before the attempt.
	if err == nil {
		v.session = s
	}
	a.session, a.err, v.attempt = s, err, nil
	v.mu.Unlock()
	if err != nil {
		v.trip(err)
	}
	select {
	case v.fresh <- struct{}{}:
	default:
	}
	close(a.done)
}

// replace returns the old session if it is good, or another one. A new login is
// better than an old session that is good and old: policies that the role has
// got since come with it.
func (v *Vault) replace(ctx context.Context, old *session) (*session, error) {
	good := false
	if old != nil && !old.ended() {
		_, _, err := v.lookup(ctx, old.client)
		if err != nil && !forbidden(err) {
			return nil, err
		}
		good = err == nil
		if good && time.Since(old.since) < loginPause {
			return old, nil
		}
	}
	s, err := v.login(ctx)
	if err != nil && good {
		return old, nil
	}
	return s, err
}

// login logs in. Its errors about credentials wrap secrets.ErrDenied.
func (v *Vault) login(ctx context.Context) (*session, error) {
	switch auth := v.o.Auth; {
	case auth.Kubernetes != nil:
		k := auth.Kubernetes
		what := fmt.Sprintf("log in to Vault at auth/%s with the role %q", k.Mount, k.Role)
		token, err := credential(what, k.TokenFile)
		if err != nil {
			return nil, err
		}
		return v.exchange(ctx, what, k.Mount, map[string]string{"role": k.Role, "jwt": token})
	case auth.AppRole != nil:
		a := auth.AppRole
		what := "log in to Vault at auth/" + a.Mount
		body := map[string]string{}
		var err error
		if body["role_id"], err = credential(what, a.RoleIDFile); err != nil {
			return nil, err
		}
		if a.SecretIDFile != "" {
			if body["secret_id"], err = credential(what, a.SecretIDFile); err != nil {
				return nil, err
			}
		}
		return v.exchange(ctx, what, a.Mount, body)
	default:
		return v.adopt(ctx, auth.Token.File)
	}
}

// exchange gets a token for credentials.
func (v *Vault) exchange(ctx context.Context, what, mount string, body map[string]string) (*session, error) {
	since := time.Now()
	answer, err := v.send(ctx, v.client, request{what: what, verb: write, path: "auth/" + mount + "/login", body: body})
	var refused *failure
	switch {
	case errors.As(err, &refused) && refused.is == secrets.ErrDenied:
		return nil, denied(what, fmt.Sprintf("it does not accept the operator's login at auth/%s (status %d); check the mount, the role, and what it is bound to", mount, refused.status))
	case err != nil:
		return nil, err
	case answer.Auth == nil || answer.Auth.Token == "":
		return nil, denied(what, "it gives no token; a second factor cannot be used")
	}
	client, err := withToken(v.client, answer.Auth.Token)
	if err != nil {
		return nil, denied(what, err.Error())
	}
	return newSession(client, answer.Auth.Token, since, time.Duration(answer.Auth.Seconds)*time.Second, answer.Auth.Renewable), nil
}

// adopt uses the token in a file.
func (v *Vault) adopt(ctx context.Context, file string) (*session, error) {
	what := "log in to Vault with a token"
	token, err := credential(what, file)
	if err != nil {
		return nil, err
	}
	client, err := withToken(v.client, token)
	if err != nil {
		return nil, denied(what, err.Error())
	}
	since := time.Now()
	ttl, renewable, err := v.lookup(ctx, client)
	if forbidden(err) {
		return nil, denied(what, "it does not accept the token in "+file)
	}
	if err != nil {
		return nil, about(request{what: what}, err)
	}
	return newSession(client, token, since, ttl, renewable), nil
}

// lookup tells whether the token of a client is good, and how long it will be; 0: for ever.
func (v *Vault) lookup(ctx context.Context, client *api.Client) (ttl time.Duration, renewable bool, err error) {
	r := request{what: "ask Vault about the operator's own token", verb: read, path: "auth/token/lookup-self"}
	answer, err := v.send(ctx, client, r)
	if err != nil {
		return 0, false, err
	}
	var token struct {
		TTL       int64 `json:"ttl"`
		Renewable bool  `json:"renewable"`
	}
	if err := answer.into(r, &token); err != nil {
		return 0, false, err
	}
	return time.Duration(token.TTL) * time.Second, token.Renewable, nil
}

func denied(what, why string) *failure {
	return &failure{what: what, is: secrets.ErrDenied, why: why}
}

// credential reads a file of a login. What is in it may not end up in a header
// that cannot be sent, whose error would quote it.
func credential(what, file string) (string, error) {
	content, err := os.ReadFile(file)
	var path *fs.PathError
	if errors.As(err, &path) {
		return "", denied(what, fmt.Sprintf("the file %s cannot be read: %v", file, path.Err))
	}
	content = bytes.TrimSpace(content)
	isText := !bytes.ContainsFunc(content, func(r rune) bool { return r <= ' ' || r > '~' })
	if err != nil || len(content) == 0 || len(content) > maxCredential || !isText {
		return "", denied(what, "the file "+file+" does not hold one credential, in plain text")
	}
	return string(content), nil
}

// keepSession renews the session, until ctx ends.
func (v *Vault) keepSession(ctx context.Context) {
	for {
		v.mu.Lock()
		s, down := v.session, v.down
		v.mu.Unlock()
		var due <-chan time.Time
		if s != nil && !s.renewAt.IsZero() {
			pause := time.Until(s.renewAt)
			if down != nil {
				pause = max(pause, renewPause)
			}
			due = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-v.fresh:
		case <-due:
			if down == nil {
				v.renew(ctx, s)
			}
		}
	}
}

// renew prolongs a session, or logs in where that is not to be had. When neither
// is, the session serves until its end.
func (v *Vault) renew(ctx context.Context, s *session) {
	next, err := v.prolong(ctx, s)
	if forbidden(err) || (err == nil && next == nil) {
		next, err = v.login(ctx)
	}
	if isOutage(err) {
		v.trip(err)
	}
	if err != nil || next == nil {
		later := *s
		later.renewAt = time.Now().Add(renewPause)
		next = &later
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.session == s {
		v.session = next
	}
}

// prolong returns the session with a later end; nil when a login is better.
func (v *Vault) prolong(ctx context.Context, s *session) (*session, error) {
	if file := v.o.Auth.Token; file != nil {
		if token, err := credential("", file.File); err == nil && token != s.token {
			return nil, nil
		}
	}
	if !s.renewable {
		return nil, nil
	}
	r := request{what: "renew the operator's own token in Vault", verb: write, path: "auth/token/renew-self", body: struct{}{}}
	since := time.Now()
	answer, err := v.send(ctx, s.client, r)
	var refused *failure
	if errors.As(err, &refused) && refused.is == secrets.ErrDenied {
		return nil, nil
	}
	if err != nil || answer.Auth == nil {
		return nil, err
	}
	ttl := time.Duration(answer.Auth.Seconds) * time.Second
	// Near the end of its life a token is renewed for less and less.
	if ttl < s.ttl/2 {
		return nil, nil
	}
	next := newSession(s.client, s.token, since, ttl, answer.Auth.Renewable)
	next.since, next.ttl = s.since, s.ttl
	return next, nil
}

// jittered returns a pause that is up to a fifth shorter or longer, so that those
// who wait for the same do not come at the same time.
func jittered(pause time.Duration) time.Duration {
	return pause*4/5 + time.Duration(rand.Int64N(int64(pause)*2/5+1))
}
