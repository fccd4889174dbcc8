package config

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// maxSize of a configuration file in bytes.
const maxSize = 1 << 20

// Error lists the problems of a configuration.
type Error struct {
	// File is the path of the file, or empty if the configuration is not from a file.
	File string
	// Problems, each with the path of its field if it has one.
	Problems []string
}

// Error returns all problems on one line.
func (e *Error) Error() string {
	subject := "the configuration"
	if e.File != "" {
		subject = "configuration file " + e.File
	}
	return subject + ": " + strings.Join(e.Problems, "; ")
}

// Load reads, completes and checks a configuration file. A field that the file
// leaves out gets its default. It returns an *Error, or the file system's error if
// the file cannot be read.
func Load(path string) (*Operator, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	o, err := decode(data)
	var problem *Error
	if errors.As(err, &problem) {
		problem.File = path
	}
	return o, err
}

// decode decodes the content of a configuration file.
func decode(data []byte) (*Operator, error) {
	raw, err := single(data)
	if err != nil {
		return nil, err
	}
	if problems := durations(raw); len(problems) > 0 {
		return nil, &Error{Problems: problems}
	}
	// The file is decoded over the defaults, so that Validate sees a zero in the
	// file, which would otherwise be replaced silently.
	o := &Operator{}
	o.Default()
	if describesVault(raw) {
		o.SecretStore.Vault = &Vault{}
		o.SecretStore.Vault.setDefaults()
	}
	unknown, err := strictjson.UnmarshalStrict(raw, o)
	if err != nil {
		return nil, &Error{Problems: []string{strings.TrimPrefix(err.Error(), "json: ")}}
	}
	if len(unknown) > 0 {
		problem := &Error{}
		for _, one := range unknown {
			problem.Problems = append(problem.Problems, one.Error())
		}
		return nil, problem
	}
	if o.SecretStore.Vault != nil {
		// These defaults depend on the method and the tenant. An empty value has no
		// meaning of its own here.
		o.SecretStore.Vault.Auth.setDefaults(o.Tenant)
	}
	return o, o.Validate()
}

// describesVault reports whether a file configures Vault.
func describesVault(raw []byte) bool {
	var file struct {
		SecretStore struct {
			Vault map[string]any `json:"vault"`
		} `json:"secretStore"`
	}
	return json.Unmarshal(raw, &file) == nil && file.SecretStore.Vault != nil
}

// single returns the only YAML document of a file as JSON. It ignores documents
// that contain only comments.
func single(data []byte) ([]byte, error) {
	if len(data) > maxSize {
		return nil, &Error{Problems: []string{fmt.Sprintf("larger than %d bytes", maxSize)}}
	}
	var documents [][]byte
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var raw []byte
		if err == nil {
			raw, err = yaml.YAMLToJSONStrict(document)
		}
		if err != nil {
			return nil, &Error{Problems: []string{"not valid YAML: " + err.Error()}}
		}
		if string(raw) != "null" {
			documents = append(documents, raw)
		}
	}
	if len(documents) != 1 {
		return nil, &Error{Problems: []string{fmt.Sprintf("contains %d YAML documents: write exactly one", len(documents))}}
	}
	return documents[0], nil
}

// durations checks the durations. The decoder's own message would not name the
// field.
func durations(raw []byte) []string {
	var file map[string]any
	if json.Unmarshal(raw, &file) != nil {
		return []string{"not a mapping of fields to values"}
	}
	var problems []string
	for _, at := range [][]string{
		{"git", "pollInterval"}, {"git", "timeout"},
		{"clusters", "probeInterval"}, {"clusters", "probeTimeout"},
		{"reconcile", "safetyInterval"},
		{"secretStore", "vault", "timeout"}, {"secretStore", "vault", "pollInterval"},
	} {
		value, present, err := unstructured.NestedFieldNoCopy(file, at...)
		if err != nil || !present {
			continue
		}
		text, _ := value.(string)
		if _, err := time.ParseDuration(text); err != nil {
			problems = append(problems, field.Invalid(field.NewPath(at[0], at[1:]...), value, "write a duration, for example 90s, 5m or 6h").Error())
		}
	}
	return problems
}
