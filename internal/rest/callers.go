package rest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
)

const (
	// maxToken is the longest access token, in bytes.
	maxToken = 4096
	// remembered is the time for which the answers of the forge about a caller count.
	remembered = 30 * time.Second
	// maxRemembered is how many answers are kept: enough for a hundred callers who list a
	// thousand products each.
	maxRemembered = 100_000
)

// caller is the owner of the access token of a request.
type caller struct {
	client.Caller
	// key stands for the token in caches and limits. It cannot be turned back.
	key   string
	token secrets.Value
	forge client.Client
}

// memory keeps answers of the forge for a short time. Errors are not kept. Requests for
// one answer at the same time share it.
type memory struct {
	mutex   sync.Mutex
	answers map[string]answer
	flights singleflight.Group
	now     func() time.Time
}

type answer struct {
	value any
	until time.Time
}

func newMemory(now func() time.Time) *memory {
	return &memory{answers: map[string]answer{}, now: now}
}

// remember returns the answer of ask for a key.
func remember[T any](ctx context.Context, m *memory, key string, ask func(context.Context) (T, error)) (T, error) {
	m.mutex.Lock()
	known, found := m.answers[key]
	m.mutex.Unlock()
	if found && m.now().Before(known.until) {
		value, _ := known.value.(T)
		return value, nil
	}
	asked := m.now()
	// The answer is for all who wait for it, and outlives the request of the first one.
	result := m.flights.DoChan(key, func() (any, error) {
		alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), remembered)
		defer cancel()
		var value T
		err := edit.Guard(func() (err error) {
			value, err = ask(alone)
			return err
		})
		if err == nil {
			m.keep(key, answer{value, asked.Add(remembered)})
		}
		return value, err
	})
	select {
	case r := <-result:
		value, _ := r.Val.(T)
		return value, r.Err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (m *memory) keep(key string, a answer) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if len(m.answers) >= maxRemembered {
		now := m.now()
		for k, old := range m.answers {
			if !now.Before(old.until) {
				delete(m.answers, k)
			}
		}
		if len(m.answers) >= maxRemembered {
			clear(m.answers)
		}
	}
	m.answers[key] = a
}

// forget removes the answers whose keys begin with a prefix.
func (m *memory) forget(prefix string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for key := range m.answers {
		if strings.HasPrefix(key, prefix) {
			delete(m.answers, key)
		}
	}
}

// tokens turns access tokens into keys with a secret that only this process knows.
type tokens struct{ secret []byte }

func newTokens() tokens {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret)
	return tokens{secret}
}

func (t tokens) key(token string) string {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// bearer returns the access token of a request.
func bearer(r *http.Request) (string, *Problem) {
	headers := r.Header.Values("Authorization")
	refuse := func(why string) (string, *Problem) {
		return "", problem(http.StatusUnauthorized, reasonUnauthorized, "%s: send an access token of the forge as Authorization: Bearer <token>", why)
	}
	if len(headers) == 0 {
		return refuse("the request has no credentials")
	}
	scheme, token, found := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	bad := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	if len(headers) > 1 || !found || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken || strings.ContainsFunc(token, bad) {
		return refuse("the header Authorization is malformed")
	}
	return token, nil
}

// caller returns the caller of a request. The forge says who it is.
func (s *Server) caller(ctx context.Context, token string) (*caller, error) {
	key := s.tokens.key(token)
	return remember(ctx, s.memory, key+"/who", func(ctx context.Context) (*caller, error) {
		value := secrets.NewValue([]byte(token))
		platform, err := s.platform(ctx)
		if err != nil {
			return nil, err
		}
		forge, err := s.options.Forge(platform.Provider, value)
		if err != nil {
			return nil, err
		}
		who, err := forge.WhoAmI(ctx)
		if err != nil {
			return nil, err
		}
		return &caller{Caller: who, key: key, token: value, forge: forge}, nil
	})
}
