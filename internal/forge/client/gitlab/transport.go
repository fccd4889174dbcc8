package gitlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"nautes.io/nautes/internal/forge/client/dial"
)

// shortWait is the longest time that a request waits because GitLab asks it to.
const shortWait = time.Second

var errNonsense = errors.New("the answer is nonsense")

// checked reads answers whole, so that one that is cut or no JSON is an error of the
// request, also where the library would not look at it.
type checked struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (c *checked) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, dial.MaxBody+1))
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	switch {
	case err != nil:
		return nil, err
	case len(body) > dial.MaxBody:
		return nil, dial.ErrTooLong
	case response.StatusCode/100 == 2 && len(body) > 0 && !json.Valid(body):
		return nil, errNonsense
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// idempotent reports whether a request may be sent twice.
func idempotent(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete}, method)
}

// mayRetry reports whether a request is sent again. An error after a time-out is not
// repeated, because the caller has waited for long enough.
func mayRetry(ctx context.Context, response *http.Response, err error) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return neverArrived(err) || lostReading(err), nil
	case response.StatusCode == http.StatusTooManyRequests:
		// GitLab has refused it before it did anything.
		after := retryAfter(response.Header)
		return after > 0 && after <= shortWait, nil
	case slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, response.StatusCode):
		return response.Request != nil && idempotent(response.Request.Method) && retryAfter(response.Header) <= shortWait, nil
	}
	return false, nil
}

func neverArrived(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial" && !operation.Timeout()
}

// lostReading reports whether a reading request has lost its connection.
func lostReading(err error) bool {
	var failed *url.Error
	if !errors.As(err, &failed) || failed.Op != "Get" || failed.Timeout() {
		return false
	}
	var operation *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &operation) && operation.Op == "read"
}

// wait returns the time before a repetition: as GitLab asks, or short and growing.
func wait(_, _ time.Duration, attempt int, response *http.Response) time.Duration {
	if response != nil {
		if after := retryAfter(response.Header); after > 0 {
			return after
		}
	}
	base := firstWait << attempt
	return base + rand.N(base)
}

// retryAfter returns the time that GitLab asks to wait, or 0. Its limits of requests
// have the end of the minute as well.
func retryAfter(header http.Header) time.Duration {
	if after, ok := dial.RetryAfter(header); ok {
		return after
	}
	if header.Get("RateLimit-Remaining") != "0" {
		return 0
	}
	if end, err := strconv.ParseInt(header.Get("RateLimit-Reset"), 10, 64); err == nil {
		return max(0, time.Until(time.Unix(end, 0)))
	}
	return 0
}
