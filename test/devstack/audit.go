package devstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"strings"
	"time"
)

const auditLog = "audit.log"

// auditPolicy records each request to write once, when it has been answered.
// It leaves out requests of the control plane itself, leases, and reviews, which
// only ask although they are POSTs.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  users: [system:apiserver, ` + managerUser + `]
- level: None
  resources:
  - group: coordination.k8s.io
  - group: authentication.k8s.io
  - group: authorization.k8s.io
  - group: ""
    resources: [serviceaccounts/token]
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// Request is one request to write that an API server has answered. It need not
// have changed anything: a server-side apply that finds nothing to do is a
// Request too, and so is one that was refused.
type Request struct {
	Time time.Time
	// Verb is create, update, patch, delete or deletecollection.
	Verb string
	// Group, Resource, Subresource, Namespace and Name identify the object.
	// Name is empty for a generated name and for deletecollection.
	Group, Resource, Subresource, Namespace, Name string
	// User, UserAgent and FieldManager identify the sender.
	User, UserAgent, FieldManager string
	// DryRun is as the URL says; a deletion says it in its body, unseen.
	DryRun bool
	// Code is the HTTP status of the answer.
	Code int
}

// String returns the request in one line.
func (r Request) String() string {
	resource := r.Resource
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	if r.Group != "" {
		resource += "." + r.Group
	}
	return fmt.Sprintf("%s %s %s/%s by %s (%s): %d", r.Verb, resource, r.Namespace, r.Name, r.User, r.UserAgent, r.Code)
}

// Mark is a moment in the life of a control plane. Requests and Changes return
// later ones. The zero Mark is the beginning, for Requests only.
type Mark struct {
	audited int64
	stored  map[string]storedKey
}

// Mark returns the present moment.
func (c *ControlPlane) Mark(ctx context.Context) (Mark, error) {
	stored, err := c.etcd.keys(ctx, c.prefix()+"/")
	if err != nil {
		return Mark{}, fmt.Errorf("mark %s: %w", c.Name, err)
	}
	info, err := os.Stat(c.file(auditLog))
	if errors.Is(err, fs.ErrNotExist) {
		return Mark{stored: stored}, nil
	}
	if err != nil {
		return Mark{}, fmt.Errorf("mark %s: %w", c.Name, err)
	}
	return Mark{audited: info.Size(), stored: stored}, nil
}

// Requests returns the requests to write that the API server has answered since
// a mark, in the order of their answers. The API server writes its record before
// it ends an answer, so every request that a client has seen answered is here.
// Changes returns their results.
func (c *ControlPlane) Requests(since Mark) ([]Request, error) {
	file, err := os.Open(c.file(auditLog))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the audit log of %s: %w", c.Name, err)
	}
	defer func() { _ = file.Close() }()
	// The mark may stand within a line that was being written. One byte more
	// shows it, and the rest of such a line is left out.
	content, err := io.ReadAll(io.NewSectionReader(file, max(0, since.audited-1), math.MaxInt64-since.audited))
	if err != nil {
		return nil, fmt.Errorf("read the audit log of %s: %w", c.Name, err)
	}
	if since.audited > 0 {
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	var requests []Request
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			// The rest of this line is being written.
			break
		}
		request, err := parseAudit(line)
		if err != nil {
			return nil, fmt.Errorf("read the audit log of %s: %w", c.Name, err)
		}
		requests = append(requests, request)
	}
	return requests, nil
}

// auditEvent holds the fields of audit.k8s.io/v1 Event that make a Request.
type auditEvent struct {
	Verb       string    `json:"verb"`
	RequestURI string    `json:"requestURI"`
	UserAgent  string    `json:"userAgent"`
	Received   time.Time `json:"requestReceivedTimestamp"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

func parseAudit(line []byte) (Request, error) {
	var event auditEvent
	if err := json.Unmarshal(line, &event); err != nil {
		return Request{}, err
	}
	uri, err := url.Parse(event.RequestURI)
	if err != nil {
		return Request{}, err
	}
	query := uri.Query()
	return Request{
		Time:         event.Received,
		Verb:         event.Verb,
		Group:        event.ObjectRef.APIGroup,
		Resource:     event.ObjectRef.Resource,
		Subresource:  event.ObjectRef.Subresource,
		Namespace:    event.ObjectRef.Namespace,
		Name:         event.ObjectRef.Name,
		User:         event.User.Username,
		UserAgent:    event.UserAgent,
		FieldManager: query.Get("fieldManager"),
		DryRun:       strings.Contains(query.Get("dryRun"), "All"),
		Code:         event.ResponseStatus.Code,
	}, nil
}
