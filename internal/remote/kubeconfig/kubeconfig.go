// Package kubeconfig reads and converts the kubeconfigs of runtime clusters. It
// guarantees that a kubeconfig cannot make the operator run a program, read a
// file, weaken TLS, use a proxy or impersonate another account.
package kubeconfig

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// ServerField is the field of a Cluster that overrides the kubeconfig's server.
const ServerField = "spec.apiServer"

// maxSize is the size of the largest kubeconfig that is accepted, in bytes.
const maxSize = 256 << 10

// Error explains why a kubeconfig is refused. It never contains a
// value from the kubeconfig.
type Error struct {
	// Field is the path of the field, for example users[].user.exec. It is empty
	// if the problem concerns the whole file, and spec.apiServer if it concerns
	// the address that overrides the kubeconfig's server.
	Field string
	// Problem describes the problem and its remedy.
	Problem string
}

// Error names the field, the problem and the remedy.
func (e *Error) Error() string {
	switch e.Field {
	case "":
		return "the kubeconfig is refused: " + e.Problem
	case ServerField:
		return "the address of the API server is refused: " + e.Field + ": " + e.Problem
	}
	return fmt.Sprintf("the kubeconfig is refused: %s: %s", e.Field, e.Problem)
}

func refuse(field, format string, args ...any) error {
	return &Error{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// file, cluster, user and their named forms are the allow-list: a
// kubeconfig may set these fields and no others. clientcmd would ignore a field
// that it does not know, so it cannot be used to refuse one. Entries are decoded
// only if the current context uses them.
type file struct {
	APIVersion     string            `json:"apiVersion,omitempty"`
	Kind           string            `json:"kind,omitempty"`
	Preferences    json.RawMessage   `json:"preferences,omitempty"`
	Extensions     json.RawMessage   `json:"extensions,omitempty"`
	CurrentContext string            `json:"current-context"`
	Contexts       []json.RawMessage `json:"contexts"`
	Clusters       []json.RawMessage `json:"clusters"`
	Users          []json.RawMessage `json:"users"`
}

type namedContext struct {
	Name    string `json:"name"`
	Context struct {
		Cluster    string          `json:"cluster"`
		User       string          `json:"user"`
		Namespace  json.RawMessage `json:"namespace,omitempty"`
		Extensions json.RawMessage `json:"extensions,omitempty"`
	} `json:"context"`
}

type namedCluster struct {
	Name    string `json:"name"`
	Cluster struct {
		Server             string          `json:"server"`
		CAData             string          `json:"certificate-authority-data,omitempty"`
		Insecure           bool            `json:"insecure-skip-tls-verify,omitempty"`
		DisableCompression bool            `json:"disable-compression,omitempty"`
		Extensions         json.RawMessage `json:"extensions,omitempty"`
	} `json:"cluster"`
}

type namedUser struct {
	Name string `json:"name"`
	User struct {
		Token      string          `json:"token,omitempty"`
		CertData   string          `json:"client-certificate-data,omitempty"`
		KeyData    string          `json:"client-key-data,omitempty"`
		Extensions json.RawMessage `json:"extensions,omitempty"`
	} `json:"user"`
}

// Parse reads the current context of a kubeconfig by an allow-list: the https
// server and the authority's data of its cluster, and a token or the data of a
// client certificate and key of its user. Anything that would run a program, read
// a file, weaken TLS, use a proxy or impersonate another account is an *Error.
// Contexts, clusters and users that are not in use are ignored.
func Parse(data []byte) (*rest.Config, error) {
	if len(data) > maxSize {
		return nil, refuse("", "it is larger than %d KiB; keep only the context that is needed (kubectl config view --minify --flatten --raw)", maxSize>>10)
	}
	// The errors of the parsers quote their input and must not be passed on.
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, refuse("", "it is not YAML, or a key occurs twice; create it again with kubectl config view --minify --flatten --raw")
	}
	config, err := decodeAllowed[file]("", asJSON)
	if err != nil {
		return nil, err
	}
	if config.CurrentContext == "" {
		return nil, refuse("current-context", "it is empty; name the context to use")
	}
	context, err := findEntry[namedContext]("contexts", config.Contexts, config.CurrentContext)
	if err != nil {
		return nil, err
	}
	cluster, err := findEntry[namedCluster]("clusters", config.Clusters, context.Context.Cluster)
	if err != nil {
		return nil, err
	}
	user, err := findEntry[namedUser]("users", config.Users, context.Context.User)
	if err != nil {
		return nil, err
	}
	cfg := &rest.Config{}
	if err := cluster.read(cfg); err != nil {
		return nil, err
	}
	if err := user.read(cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

// findEntry decodes the only entry of a list with the given name.
func findEntry[T any](list string, entries []json.RawMessage, name string) (*T, error) {
	var found json.RawMessage
	for _, entry := range entries {
		var named struct {
			Name string `json:"name"`
		}
		if err := strictjson.UnmarshalCaseSensitivePreserveInts(entry, &named); err != nil {
			return nil, refuse(list+"[]", "it is not a mapping with a name")
		}
		if named.Name == "" || named.Name != name {
			continue
		}
		if found != nil {
			return nil, refuse(list+"[].name", "two elements have the name that is in use; keep one")
		}
		found = entry
	}
	if found == nil {
		return nil, refuse(list, "no element has the name that the current context asks for")
	}
	return decodeAllowed[T](list+"[].", found)
}

// decodeAllowed decodes JSON into T, and refuses each field that T does not have.
// The prefix precedes the field's path in the error.
func decodeAllowed[T any](prefix string, raw []byte) (*T, error) {
	out := new(T)
	unknown, err := strictjson.UnmarshalStrict(raw, out)
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return nil, refuse(prefix+mismatch.Field, "a value of type %s is not accepted here", strings.Fields(mismatch.Value)[0])
	case err != nil || string(raw) == "null":
		return nil, refuse("", "it is not a mapping with clusters, users and contexts")
	}
	for _, e := range unknown {
		if err := refuseField(prefix, raw, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// refuseField refuses the field that an error of the strict decoder is about. It
// leaves out a name that could be a credential, and accepts a known field without a value.
func refuseField(prefix string, raw []byte, unknown error) error {
	path := "?"
	if at, ok := errors.AsType[strictjson.FieldError](unknown); ok {
		path = at.FieldPath()
	}
	parent, field, nested := strings.Cut(path, ".")
	if nested {
		prefix += parent + "."
	} else {
		field = parent
	}
	remedy := remedyFor(field)
	var entry map[string]map[string]any
	_ = json.Unmarshal(raw, &entry) // It reads on after the name, which is a text.
	if entry[parent][field] == "" && remedy != remedyFor("") {
		return nil
	}
	if len(field) > 40 || strings.Trim(strings.ToLower(field), "abcdefghijklmnopqrstuvwxyz-") != "" {
		field = "?"
	}
	return refuse(prefix+field, "%s", remedy)
}

// remedyFor explains why a field is refused, and names the remedy.
func remedyFor(field string) string {
	switch field {
	case "exec", "auth-provider":
		return "plugins are not run; put the token of a ServiceAccount into token"
	case "certificate-authority", "client-certificate", "client-key", "tokenFile":
		return "files are not read; put the content into the file itself (kubectl config view --minify --flatten --raw)"
	case "insecure-skip-tls-verify":
		return "TLS is always verified; remove it and give certificate-authority-data"
	case "proxy-url":
		return "proxies are not used; give a server address that is reached directly"
	case "tls-server-name":
		return "the certificate is checked against the server's address; use an address that the certificate names"
	case "as", "as-uid", "as-groups", "as-user-extra":
		return "impersonation is not used; give the credential of the account itself"
	case "username", "password":
		return "passwords are not accepted; give token, or client-certificate-data and client-key-data"
	}
	return "this field is not accepted; remove it"
}

// read copies the address and the authority of the cluster into cfg.
func (n *namedCluster) read(cfg *rest.Config) error {
	const at = "clusters[].cluster."
	if n.Cluster.Insecure {
		return refuse(at+"insecure-skip-tls-verify", "%s", remedyFor("insecure-skip-tls-verify"))
	}
	var err error
	if cfg.Host, err = checkServer(at+"server", n.Cluster.Server); err != nil {
		return err
	}
	if cfg.CAData, err = decodeBase64(at+"certificate-authority-data", n.Cluster.CAData); err != nil {
		return err
	}
	if len(cfg.CAData) > 0 && !x509.NewCertPool().AppendCertsFromPEM(cfg.CAData) {
		return refuse(at+"certificate-authority-data", "it contains no PEM certificate")
	}
	return nil
}

// checkServer returns the normalised URL of an API server.
func checkServer(field, server string) (string, error) {
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Hostname() == "":
		return "", refuse(field, "it is not a URL with a host; write https://host:port")
	case u.Scheme != "https":
		return "", refuse(field, "only https is accepted; write https://host:port")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", refuse(field, "only host, port and path are accepted; credentials belong to the user")
	}
	return u.String(), nil
}

// read copies the credential of the user into cfg.
func (n *namedUser) read(cfg *rest.Config) error {
	const at = "users[].user"
	cfg.BearerToken = n.User.Token
	if strings.ContainsFunc(cfg.BearerToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return refuse(at+".token", "it contains characters that no token has; remove blanks and line ends")
	}
	var err error
	if cfg.CertData, err = decodeBase64(at+".client-certificate-data", n.User.CertData); err != nil {
		return err
	}
	if cfg.KeyData, err = decodeBase64(at+".client-key-data", n.User.KeyData); err != nil {
		return err
	}
	if len(cfg.CertData)+len(cfg.KeyData) > 0 {
		if _, err := tls.X509KeyPair(cfg.CertData, cfg.KeyData); err != nil {
			return refuse(at, "client-certificate-data and client-key-data are not a PEM certificate and its key")
		}
	} else if cfg.BearerToken == "" {
		return refuse(at, "it holds no credential; give token, or client-certificate-data and client-key-data")
	}
	return nil
}

func decodeBase64(field, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, refuse(field, "it is not base64")
	}
	return content, nil
}
