// Package rest sends the acceptance cases of the REST API to a server on a real Git
// host and a strict emulator of the forge.
package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// suite is the content of testdata/cases.yaml.
type suite struct {
	Version     int                  `yaml:"version"`
	About       string               `yaml:"about"`
	Sources     map[string]string    `yaml:"sources"`
	Variables   map[string]string    `yaml:"variables"`
	Words       map[string]string    `yaml:"words"`
	Roles       map[string]string    `yaml:"roles"`
	Routes      []route              `yaml:"routes"`
	Permissions permissions          `yaml:"permissions"`
	Cases       []*testCase          `yaml:"cases"`
	byName      map[string]*testCase `yaml:"-"`
}

// permissions is the matrix of roles and routes: the status codes of requests.
type permissions struct {
	About        string                               `yaml:"about"`
	Source       string                               `yaml:"source"`
	Skip         string                               `yaml:"and_insecure_skip_check"`
	BelowProduct map[string]map[string]oneOrMore[int] `yaml:"below_a_product"`
	Clusters     map[string]map[string]oneOrMore[int] `yaml:"clusters"`
	Products     map[string]map[string]oneOrMore[int] `yaml:"products"`
}

// route is a route that the server must have.
type route struct {
	OperationID string `yaml:"operationId"`
	Method      string `yaml:"method"`
	Path        string `yaml:"path"`
	Write       bool   `yaml:"write"`
	IDSource    string `yaml:"operationId_source"`
}

// testCase is a request with its expected effects.
type testCase struct {
	Name            string            `yaml:"name"`
	Group           string            `yaml:"group"`
	Source          string            `yaml:"source"`
	Origin          string            `yaml:"origin"`
	Note            string            `yaml:"note"`
	OperationID     string            `yaml:"operationId"`
	Given           []string          `yaml:"given"`
	NotTogetherWith []string          `yaml:"not_together_with"`
	As              string            `yaml:"as"`
	Method          string            `yaml:"method"`
	Path            string            `yaml:"path"`
	Query           map[string]string `yaml:"query"`
	Headers         map[string]string `yaml:"headers"`
	Body            any               `yaml:"body"`
	BodyFrom        *bodyFrom         `yaml:"body_from"`
	BodyRaw         *string           `yaml:"body_raw"`
	Expect          expectation       `yaml:"expect"`
}

// bodyFrom makes a body of that of another case.
type bodyFrom struct {
	Case   string         `yaml:"case"`
	Set    map[string]any `yaml:"set"`
	Unset  []string       `yaml:"unset"`
	Append map[string]any `yaml:"append"`
}

// expectation lists the effects of a request.
type expectation struct {
	Status            oneOrMore[int]          `yaml:"status"`
	Reply             any                     `yaml:"reply"`
	ReplyHas          []string                `yaml:"reply_has"`
	Problem           *problem                `yaml:"problem"`
	ProblemContains   string                  `yaml:"problem_contains"`
	AnswerMustNotHold string                  `yaml:"answer_must_not_hold"`
	Warnings          []string                `yaml:"warnings"`
	Git               string                  `yaml:"git"`
	File              *file                   `yaml:"file"`
	Commit            *commit                 `yaml:"commit"`
	Store             oneOrMore[secret]       `yaml:"store"`
	GitLab            []map[string]any        `yaml:"gitlab"`
	Later             oneOrMore[laterOutcome] `yaml:"later"`
}

// problem lists locations of errors. Of a list of locations one is enough.
type problem struct {
	Locations []oneOrMore[string] `yaml:"locations"`
}

// file is a file of the main branch after the request.
type file struct {
	Repository string `yaml:"repository"`
	Path       string `yaml:"path"`
	YAML       string `yaml:"yaml"`
	ZeroValues string `yaml:"zero_values"`
	Absent     bool   `yaml:"absent"`
	Unchanged  bool   `yaml:"unchanged"`
}

// commit is the newest commit of the repository of the file.
type commit struct {
	Subject string `yaml:"subject"`
	Author  string `yaml:"author"`
}

// secret is a secret of the store.
type secret struct {
	Engine    string `yaml:"engine"`
	Path      string `yaml:"path"`
	Field     string `yaml:"field"`
	Equals    string `yaml:"equals"`
	Unchanged bool   `yaml:"unchanged"`
	Absent    bool   `yaml:"absent"`
	// WrittenBy names another writer than the API.
	WrittenBy string `yaml:"written_by"`
}

// laterOutcome is the state of the mirrored object when operator and clusters run.
type laterOutcome struct {
	Kind             string         `yaml:"kind"`
	Namespace        string         `yaml:"namespace"`
	Name             string         `yaml:"name"`
	Condition        map[string]any `yaml:"condition"`
	Spec             map[string]any `yaml:"spec"`
	Status           map[string]any `yaml:"status"`
	StatusComponents []string       `yaml:"status_components"`
	Absent           bool           `yaml:"absent"`
	Also             string         `yaml:"also"`
}

// oneOrMore is a value or a list of values.
type oneOrMore[T any] []T

// UnmarshalYAML reads a value as a list of one, as strictly as load.
func (l *oneOrMore[T]) UnmarshalYAML(node *yaml.Node) error {
	content, err := yaml.Marshal(node)
	if err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if node.Kind == yaml.SequenceNode {
		return decoder.Decode((*[]T)(l))
	}
	var one T
	if err := decoder.Decode(&one); err != nil {
		return err
	}
	*l = oneOrMore[T]{one}
	return nil
}

// load reads the cases strictly: an expectation that nothing checks must not pass.
func load(t *testing.T) *suite {
	t.Helper()
	content, err := os.ReadFile("testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(s); err != nil {
		t.Fatal(err)
	}
	s.byName = map[string]*testCase{}
	for _, c := range s.Cases {
		s.byName[c.Name] = c
		if decide := decisions()[c.Name]; decide != nil {
			decide(c)
		}
	}
	return s
}

// decisions change the cases that leave a question open. The friendlier answer is given,
// and the reply warns where it may surprise.
func decisions() map[string]func(*testCase) {
	allow := func(warnings ...string) func(*testCase) {
		return func(c *testCase) {
			c.Expect = expectation{Status: oneOrMore[int]{200}, Warnings: warnings}
		}
	}
	return map[string]func(*testCase){
		"environment-second-on-a-cluster": allow("env-dev"),
		"dr-no-revision":                  allow(),
		"binding-no-permission":           allow(),
		"ppr-two-pipelines-of-one-file":   allow(),
		"ppr-calendar-as-text":            allow("event_sources[2].calendar"),
	}
}

// needed returns the cases and states that must hold before a case, in order. A path
// below a product needs the product.
func (s *suite) needed(c *testCase) []string {
	var all []string
	if strings.HasPrefix(c.Path, "/api/v1/products/nautes-labs/") {
		all = append(all, "product-save")
	}
	for _, given := range c.Given {
		if before := s.byName[given]; before != nil {
			for _, name := range s.needed(before) {
				if !slices.Contains(all, name) {
					all = append(all, name)
				}
			}
		}
		if !slices.Contains(all, given) {
			all = append(all, given)
		}
	}
	return all
}

// body returns the body of a case with its variables replaced, or nil.
func (s *suite) body(c *testCase, expand func(string) string) ([]byte, error) {
	if c.BodyRaw != nil {
		return []byte(expand(*c.BodyRaw)), nil
	}
	value, err := s.bodyValue(c)
	if err != nil || value == nil {
		return nil, err
	}
	return json.Marshal(expandAll(value, expand))
}

func (s *suite) bodyValue(c *testCase) (any, error) {
	if c.BodyFrom == nil {
		return c.Body, nil
	}
	base := s.byName[c.BodyFrom.Case]
	if base == nil {
		return nil, fmt.Errorf("case %s: body_from names case %s, which does not exist", c.Name, c.BodyFrom.Case)
	}
	value, err := s.bodyValue(base)
	if err != nil {
		return nil, err
	}
	value = clone(value)
	for _, path := range slices.Sorted(maps.Keys(c.BodyFrom.Set)) {
		if value, err = set(value, strings.Split(path, "."), func(any) (any, bool) { return c.BodyFrom.Set[path], true }); err != nil {
			return nil, fmt.Errorf("case %s: set %s: %w", c.Name, path, err)
		}
	}
	for _, path := range c.BodyFrom.Unset {
		if value, err = set(value, strings.Split(path, "."), func(any) (any, bool) { return nil, false }); err != nil {
			return nil, fmt.Errorf("case %s: unset %s: %w", c.Name, path, err)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(c.BodyFrom.Append)) {
		add := func(old any) (any, bool) {
			list, _ := old.([]any)
			return append(slices.Clone(list), c.BodyFrom.Append[path]), true
		}
		if value, err = set(value, strings.Split(path, "."), add); err != nil {
			return nil, fmt.Errorf("case %s: append %s: %w", c.Name, path, err)
		}
	}
	return value, nil
}

// set replaces the value at a path by the result of change, or removes it if change
// returns false.
func set(value any, path []string, change func(any) (any, bool)) (any, error) {
	switch container := value.(type) {
	case map[string]any:
		if len(path) > 1 {
			inner, err := set(container[path[0]], path[1:], change)
			if err != nil {
				return nil, err
			}
			container[path[0]] = inner
			return container, nil
		}
		if changed, keep := change(container[path[0]]); keep {
			container[path[0]] = changed
		} else {
			delete(container, path[0])
		}
		return container, nil
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(container) {
			return nil, fmt.Errorf("%q is no place in a list of %d", path[0], len(container))
		}
		if len(path) > 1 {
			inner, err := set(container[i], path[1:], change)
			if err != nil {
				return nil, err
			}
			container[i] = inner
			return container, nil
		}
		changed, keep := change(container[i])
		if !keep {
			return slices.Delete(container, i, i+1), nil
		}
		container[i] = changed
		return container, nil
	case nil:
		return set(map[string]any{}, path, change)
	}
	return nil, fmt.Errorf("%q is inside of a %T", path[0], value)
}

func clone(value any) any {
	switch container := value.(type) {
	case map[string]any:
		copied := map[string]any{}
		for key, inner := range container {
			copied[key] = clone(inner)
		}
		return copied
	case []any:
		copied := make([]any, len(container))
		for i, inner := range container {
			copied[i] = clone(inner)
		}
		return copied
	}
	return value
}

// expandAll replaces the variables in all texts and keys of a value.
func expandAll(value any, expand func(string) string) any {
	switch container := value.(type) {
	case string:
		return expand(container)
	case map[string]any:
		copied := map[string]any{}
		for key, inner := range container {
			copied[expand(key)] = expandAll(inner, expand)
		}
		return copied
	case []any:
		copied := make([]any, len(container))
		for i, inner := range container {
			copied[i] = expandAll(inner, expand)
		}
		return copied
	}
	return value
}
