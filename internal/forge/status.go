package forge

import "errors"

// ErrRetry marks a refusal of a status that may go away by itself.
var ErrRetry = errors.New("try again later")

// Statuses makes and judges the requests that set the status of a commit.
type Statuses interface {
	// Request returns the request that sets a status. It returns an *ArgumentError
	// for an argument that the forge cannot take.
	Request(api, project string, status Status) (Request, error)
	// Check returns nil if the forge has the status, and the reason and the remedy
	// if not. It wraps ErrRetry where a later attempt may succeed. The error holds
	// no text of the answer.
	Check(status Status, code int, body []byte) error
}

// Status is the status of a commit.
type Status struct {
	Commit string
	// Result is a result of package launch, such as launch.RunFailed.
	Result string
	// Name distinguishes the statuses of a commit. TargetURL and Description may be
	// empty.
	Name, TargetURL, Description string
}

// Request is a POST request with a JSON body. The caller sends the access token
// in the header TokenHeader, after TokenPrefix.
type Request struct {
	URL                      string
	TokenHeader, TokenPrefix string
	Body                     []byte
}

// ArgumentError is an argument of Request that the forge cannot take.
type ArgumentError struct {
	// Argument is api, project or status.
	Argument string
	// Problem is the reason and the remedy. It does not repeat the argument,
	// which may hold a password.
	Problem string
}

// Error returns the argument, the reason and the remedy.
func (e *ArgumentError) Error() string { return e.Argument + " " + e.Problem }
