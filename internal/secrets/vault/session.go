package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/vault/api"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
)

const (
	// renewPause is the pause after a failed renewal, and renewCheck the interval in
	// which an idle operator checks whether a renewal is due.
	renewPause = 5 * time.Second
	renewCheck = time.Second
	// minSessionAge is the minimum age of a valid session that is replaced because
	// a request was denied: the role may have more policies now.
	minSessionAge = time.Minute
	// maxCredential is the size in bytes of the longest file of a login.
	maxCredential = 64 << 10
)

// session is one login. Vault.mu guards renewAt and until.
type session struct {
	client *api.Client
	since  time.Time
	// ttl is the time to live of the token at first, or zero if it does not expire.
	ttl       time.Duration
	renewable bool
	// renewAt is when a renewal is due, and until when the token is no longer used.
	renewAt, until time.Time
}

// extend sets the times of a token that has a time to live since a request. The
// token is not used to its last moment, since a request needs time to arrive.
func (s *session) extend(since time.Time, ttl time.Duration) {
	s.renewAt, s.until = since.Add(ttl*2/3), since.Add(ttl*9/10)
}

// current returns the session, or nil before the first login.
func (v *Vault) current() *session {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.session
}

// usable returns the session and whether its renewal is due, or nil if there is
// no session, or it has ended.
func (v *Vault) usable() (s *session, due bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	s = v.session
	if s == nil || s.ttl > 0 && !now.Before(s.until) {
		return nil, false
	}
	return s, s.ttl > 0 && !now.Before(s.renewAt)
}

// obtain returns a session. refused is the session of a denied request, or nil.
// obtain returns it again if it is valid and no better one is to be had, so that
// the denial stands.
func (v *Vault) obtain(ctx context.Context, refused *session) (*session, error) {
	if s, due := v.usable(); s != nil && s != refused && !due {
		return s, nil
	}
	// The attempt goes on when the first caller leaves: others wait for it.
	attempt := v.logins.DoChan("", func() (any, error) { return v.replace(v.life, refused) })
	select {
	case result := <-attempt:
		s, _ := result.Val.(*session)
		return s, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// replace renews or replaces a session that was refused, is due or has ended.
func (v *Vault) replace(ctx context.Context, refused *session) (*session, error) {
	old, due := v.usable()
	if old != nil && old != refused && !due {
		return old, nil
	}
	next, err := v.next(ctx, old, old == refused)
	if err != nil {
		v.trip(err)
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.session = next
	return next, nil
}

// next returns the old session if it is valid, or renewed if it is not refused but
// due. Otherwise it returns a new one. It prefers a new login to a refused session
// that is valid and old, since the role may have got more policies since then.
func (v *Vault) next(ctx context.Context, old *session, refused bool) (*session, error) {
	valid := old != nil
	switch {
	case valid && refused:
		_, _, err := v.ownToken(ctx, old.client, "look up", (*api.TokenAuth).LookupSelfWithContext)
		if err != nil && !failureOf(err).forbidden() {
			return nil, err
		}
		if valid = err == nil; valid && time.Since(old.since) < minSessionAge {
			return old, nil
		}
	case valid && v.renew(ctx, old):
		return old, nil
	}
	next, err := v.login(ctx)
	if err == nil || !valid {
		return next, err
	}
	if failureOf(err).outage {
		v.trip(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	old.renewAt = time.Now().Add(renewPause)
	return old, nil
}

// renew renews the token of a session. It returns false if a login is better: near
// the end of its life a token is renewed for less and less, and the file of a token
// may hold another one by now.
func (v *Vault) renew(ctx context.Context, s *session) bool {
	if v.o.Auth.Method == config.VaultAuthToken {
		token, err := credential("", v.o.Auth.TokenFile)
		if err == nil && token != s.client.Token() {
			return false
		}
	}
	if !s.renewable {
		return false
	}
	since := time.Now()
	ttl, _, err := v.ownToken(ctx, s.client, "renew", func(token *api.TokenAuth, ctx context.Context) (*api.Secret, error) {
		return token.RenewSelfWithContext(ctx, 0)
	})
	if err != nil || ttl < s.ttl/2 {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s.extend(since, ttl)
	return true
}

// keepSession logs in, or renews the session of an idle operator.
func (v *Vault) keepSession(ctx context.Context) {
	if v.State() == nil {
		// State reports a failed login; it is tried again.
		_, _ = v.obtain(ctx, nil)
	}
}

// login logs in. Its errors about credentials wrap secrets.ErrDenied.
func (v *Vault) login(ctx context.Context) (*session, error) {
	s := &session{since: time.Now()}
	action, token, err := v.token(ctx)
	if err != nil {
		return nil, err
	}
	if s.client, err = v.client.CloneWithHeaders(); err != nil {
		return nil, denied(action, errClient.Error())
	}
	s.client.SetToken(token)
	s.ttl, s.renewable, err = v.ownToken(ctx, s.client, "look up", (*api.TokenAuth).LookupSelfWithContext)
	switch {
	case v.o.Auth.Method == config.VaultAuthToken && failureOf(err).forbidden():
		return nil, denied(action, "it does not accept the token in "+v.o.Auth.TokenFile)
	case err != nil:
		return nil, about(action, err)
	}
	s.extend(s.since, s.ttl)
	return s, nil
}

// token returns the token in a file, or a token that Vault returns for credentials.
func (v *Vault) token(ctx context.Context) (action, token string, err error) {
	auth := v.o.Auth
	action = "log in to Vault at auth/" + auth.Mount
	body, files := map[string]any{}, map[string]string{}
	switch auth.Method {
	case config.VaultAuthToken:
		action = "log in to Vault with a token"
		token, err = credential(action, auth.TokenFile)
		return action, token, err
	case config.VaultAuthAppRole:
		files["role_id"], files["secret_id"] = auth.RoleIDFile, auth.SecretIDFile
	default:
		body["role"], files["jwt"] = auth.Role, auth.TokenFile
		action += fmt.Sprintf(" with the role %q", auth.Role)
	}
	for _, field := range slices.Sorted(maps.Keys(files)) {
		if body[field], err = credential(action, files[field]); err != nil {
			return action, "", err
		}
	}
	var answer *api.Secret
	err = v.send(ctx, v.client, request{action: action}, func(ctx context.Context, client *api.Client) (err error) {
		answer, err = client.Logical().WriteWithContext(ctx, "auth/"+auth.Mount+"/login", body)
		return err
	})
	switch {
	case errors.Is(err, secrets.ErrDenied):
		err = denied(action, fmt.Sprintf("it does not accept the operator's login at auth/%s (status %d); check the mount, the role, and its bindings", auth.Mount, failureOf(err).status))
	case err == nil && (answer == nil || answer.Auth == nil || answer.Auth.ClientToken == ""):
		err = denied(action, "it returns no token; a second factor cannot be used")
	case err == nil:
		token = answer.Auth.ClientToken
	}
	return action, token, err
}

// ownToken runs a method on the token of a client. It returns the remaining time to
// live of the token, or zero if it does not expire, and whether it can be renewed.
func (v *Vault) ownToken(ctx context.Context, client *api.Client, verb string, method func(*api.TokenAuth, context.Context) (*api.Secret, error)) (ttl time.Duration, renewable bool, err error) {
	r := request{action: verb + " the operator's own token in Vault"}
	err = v.send(ctx, client, r, func(ctx context.Context, client *api.Client) error {
		token, err := method(client.Auth().Token(), ctx)
		if err != nil {
			return err
		}
		if ttl, err = token.TokenTTL(); err != nil {
			return err
		}
		renewable, err = token.TokenIsRenewable()
		return err
	})
	return ttl, renewable, err
}

// credential reads a file of a login. Its content must be plain text: the error
// about a header that cannot be sent would quote it.
func credential(action, file string) (string, error) {
	content, err := os.ReadFile(file)
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return "", denied(action, fmt.Sprintf("the file %s cannot be read: %v", file, path.Err))
	}
	content = bytes.TrimSpace(content)
	isText := !bytes.ContainsFunc(content, func(r rune) bool { return r <= ' ' || r > '~' })
	if err != nil || len(content) == 0 || len(content) > maxCredential || !isText {
		return "", denied(action, "the file "+file+" does not hold one credential, in plain text")
	}
	return string(content), nil
}
