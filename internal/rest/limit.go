package rest

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxLimiters is how many callers are counted at a time.
const maxLimiters = 10_000

// limits holds the rate limit of each caller.
type limits struct {
	mutex    sync.Mutex
	limiters map[string]*rate.Limiter
	rate     rate.Limit
	burst    int
	now      func() time.Time
}

func newLimits(perSecond float64, burst int, now func() time.Time) *limits {
	return &limits{limiters: map[string]*rate.Limiter{}, rate: rate.Limit(perSecond), burst: burst, now: now}
}

// take counts a request of a caller. It returns a problem if there are too many.
func (l *limits) take(h http.Header, key string) *Problem {
	l.mutex.Lock()
	limiter := l.limiters[key]
	if limiter == nil {
		if len(l.limiters) >= maxLimiters {
			l.sweep()
		}
		limiter = rate.NewLimiter(l.rate, l.burst)
		l.limiters[key] = limiter
	}
	l.mutex.Unlock()
	now := l.now()
	allowed := limiter.AllowN(now, 1)
	left := max(limiter.TokensAt(now), 0)
	h.Set("RateLimit-Limit", strconv.Itoa(l.burst))
	h.Set("RateLimit-Remaining", strconv.Itoa(int(left)))
	if allowed {
		return nil
	}
	wait := time.Duration((1 - left) / float64(l.rate) * float64(time.Second))
	h.Set("RateLimit-Reset", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	return problem(http.StatusTooManyRequests, reasonTooMany, "you send more than %g requests per second: wait, and repeat the request", float64(l.rate)).again(wait)
}

// sweep removes the callers that have sent nothing for long.
func (l *limits) sweep() {
	now := l.now()
	for key, limiter := range l.limiters {
		if limiter.TokensAt(now) >= float64(l.burst) {
			delete(l.limiters, key)
		}
	}
	if len(l.limiters) >= maxLimiters {
		clear(l.limiters)
	}
}
