package remote

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// serverField is the field of a Cluster whose address takes the place of the
// kubeconfig's.
const serverField = "spec.apiServer"

// maxKubeconfig is the largest kubeconfig that is read, in bytes.
const maxKubeconfig = 256 << 10

// KubeconfigError says why a kubeconfig is refused. It never holds a value of it.
type KubeconfigError struct {
	// Field is the path of the field, as users[].user.exec; empty when the
	// problem is about the whole file, and spec.apiServer when it is about the
	// address that takes the place of the file's.
	Field string
	// Problem says what is wrong, and what to do.
	Problem string
}

// Error names the field, what is wrong with it and what to do.
func (e *KubeconfigError) Error() string {
	switch e.Field {
	case "":
		return "the kubeconfig is refused: " + e.Problem
	case serverField:
		return "the address of the API server is refused: " + e.Field + ": " + e.Problem
	}
	return fmt.Sprintf("the kubeconfig is refused: %s: %s", e.Field, e.Problem)
}

func refuse(field, format string, args ...any) error {
	return &KubeconfigError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// ParseKubeconfig reads a kubeconfig by an allow-list: of the current context's
// cluster the https server and the certificate authority's data, of its user a
// token or the data of a client certificate and key. Anything that would run a
// program, read a file, weaken TLS, go through a proxy or act as somebody else
// is a *KubeconfigError. Contexts, clusters and users that are not in use are
// not looked at.
func ParseKubeconfig(data []byte) (*rest.Config, error) {
	doc, err := decodeKubeconfig(data)
	if err != nil {
		return nil, err
	}
	context, err := current(doc)
	if err != nil {
		return nil, err
	}
	cfg := &rest.Config{}
	if err := readCluster(doc, context, cfg); err != nil {
		return nil, err
	}
	if err := readUser(doc, context, cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

func decodeKubeconfig(data []byte) (map[string]any, error) {
	if len(data) > maxKubeconfig {
		return nil, refuse("", "it is larger than %d KiB; keep only the context that is needed (kubectl config view --minify --flatten --raw)", maxKubeconfig>>10)
	}
	// Errors of the parsers quote what they read: they are not passed on.
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, refuse("", "it is not YAML, or a key occurs twice; make it anew with kubectl config view --minify --flatten --raw")
	}
	doc := map[string]any{}
	if err := json.Unmarshal(asJSON, &doc); err != nil || len(doc) == 0 {
		return nil, refuse("", "it is not a mapping with clusters, users and contexts")
	}
	return doc, allow("", doc, "apiVersion", "kind", "preferences", "clusters", "users", "contexts", "current-context", "extensions")
}

// current returns the context in use.
func current(doc map[string]any) (map[string]any, error) {
	name, err := text("current-context", doc["current-context"])
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, refuse("current-context", "it is empty; name the context to use")
	}
	context, err := entry(doc, "contexts", "context", name)
	if err != nil {
		return nil, err
	}
	return context, allow("contexts[].context", context, "cluster", "user", "namespace", "extensions")
}

// entry returns the body of the one element of a list that has the name.
func entry(doc map[string]any, list, body, name string) (map[string]any, error) {
	elements, ok := doc[list].([]any)
	if !ok {
		return nil, refuse(list, "it is not a list")
	}
	var found map[string]any
	for _, element := range elements {
		e, ok := element.(map[string]any)
		if !ok {
			return nil, refuse(list+"[]", "it is not a mapping")
		}
		if e["name"] != name {
			continue
		}
		if found != nil {
			return nil, refuse(list+"[].name", "two elements have the name that is in use; keep one")
		}
		if err := allow(list+"[]", e, "name", body); err != nil {
			return nil, err
		}
		if found, ok = e[body].(map[string]any); !ok {
			return nil, refuse(list+"[]."+body, "it is not a mapping")
		}
	}
	if found == nil {
		return nil, refuse(list, "no element has the name that the current context asks for")
	}
	return found, nil
}

func readCluster(doc, context map[string]any, cfg *rest.Config) error {
	const at = "clusters[].cluster"
	name, err := text("contexts[].context.cluster", context["cluster"])
	if err != nil {
		return err
	}
	cluster, err := entry(doc, "clusters", "cluster", name)
	if err != nil {
		return err
	}
	if insecure, ok := cluster["insecure-skip-tls-verify"].(bool); ok && !insecure {
		delete(cluster, "insecure-skip-tls-verify")
	}
	if err := allow(at, cluster, "server", "certificate-authority-data", "disable-compression", "extensions"); err != nil {
		return err
	}
	server, err := text(at+".server", cluster["server"])
	if err != nil {
		return err
	}
	if cfg.Host, err = checkServer(at+".server", server); err != nil {
		return err
	}
	if cfg.CAData, err = decoded(at, cluster, "certificate-authority-data"); err != nil {
		return err
	}
	if len(cfg.CAData) > 0 && !x509.NewCertPool().AppendCertsFromPEM(cfg.CAData) {
		return refuse(at+".certificate-authority-data", "it holds no PEM certificate")
	}
	return nil
}

// checkServer returns the URL of an API server as it is used.
func checkServer(field, server string) (string, error) {
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", refuse(field, "it is not a URL with a host; write https://host:port")
	case u.Scheme != "https":
		return "", refuse(field, "only https is accepted; write https://host:port")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", refuse(field, "only host, port and path are accepted; credentials belong to the user")
	}
	return u.String(), nil
}

func readUser(doc, context map[string]any, cfg *rest.Config) error {
	const at = "users[].user"
	name, err := text("contexts[].context.user", context["user"])
	if err != nil {
		return err
	}
	user, err := entry(doc, "users", "user", name)
	if err != nil {
		return err
	}
	if err := allow(at, user, "token", "client-certificate-data", "client-key-data", "extensions"); err != nil {
		return err
	}
	if cfg.BearerToken, err = text(at+".token", user["token"]); err != nil {
		return err
	}
	if strings.ContainsFunc(cfg.BearerToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return refuse(at+".token", "it holds characters that no token has; remove blanks and line ends")
	}
	if cfg.CertData, err = decoded(at, user, "client-certificate-data"); err != nil {
		return err
	}
	if cfg.KeyData, err = decoded(at, user, "client-key-data"); err != nil {
		return err
	}
	if len(cfg.CertData) == 0 && len(cfg.KeyData) == 0 {
		if cfg.BearerToken == "" {
			return refuse(at, "it holds no credential; give token, or client-certificate-data and client-key-data")
		}
		return nil
	}
	if _, err := tls.X509KeyPair(cfg.CertData, cfg.KeyData); err != nil {
		return refuse(at, "client-certificate-data and client-key-data are not a PEM certificate and its key")
	}
	return nil
}

// allow refuses every field that is not in the list, the first by name.
func allow(at string, fields map[string]any, allowed ...string) error {
	var refused []string
	for field := range fields {
		if !slices.Contains(allowed, field) {
			refused = append(refused, field)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	field := slices.Min(refused)
	path := field
	if !isFieldName(field) {
		path = "?"
	}
	if at != "" {
		path = at + "." + path
	}
	return refuse(path, "%s", wayOut(field))
}

// isFieldName tells whether a key looks like a field's name, so that a
// credential in the place of a key is not repeated in a message.
func isFieldName(key string) bool {
	return len(key) <= 40 && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// wayOut says why a field is refused and what to do instead.
func wayOut(field string) string {
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

func text(field string, value any) (string, error) {
	if value == nil {
		return "", nil
	}
	s, ok := value.(string)
	if !ok {
		return "", refuse(field, "it is not a string")
	}
	return s, nil
}

func decoded(at string, fields map[string]any, field string) ([]byte, error) {
	s, err := text(at+"."+field, fields[field])
	if err != nil || s == "" {
		return nil, err
	}
	content, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, refuse(at+"."+field, "it is not base64")
	}
	return content, nil
}
