package vault

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"nautes.io/nautes/internal/secrets"
)

// Options configure the connection to a Vault.
type Options struct {
	// Address is the https URL of Vault. Plain http is for a host on loopback only.
	Address string
	// CABundle holds the trusted certificate authorities in PEM. Default: those of
	// the system.
	CABundle []byte
	// Namespace of Vault Enterprise. Default: none.
	Namespace string
	// Auth selects the login method.
	Auth Auth
	// Tenant is a part of the marks of everything that is made. A DNS label.
	Tenant string
	// Timeout of one request. Requests that revoke tokens have six times as long.
	Timeout time.Duration
	// PollInterval between two reads of the version of a secret in use.
	PollInterval time.Duration
	// OnChange is called with each secret in use that has another version, appears
	// or disappears, no matter who changed it. It must not block.
	OnChange func(secrets.Ref)
	// OnState is called when Vault cannot be used any longer (false), and when it
	// can be used again (true). It must not block, nor use the Vault.
	OnState func(healthy bool)
	// Log receives the reason when Vault cannot be used, without Vault's own words.
	Log logr.Logger
}

// Auth is the login of the operator. Files are read at each login.
type Auth struct {
	// Method is AuthKubernetes, AuthAppRole or AuthToken.
	Method string
	// Mount of the method, without auth/; not for AuthToken.
	Mount string
	// Role to log in with, for AuthKubernetes.
	Role string
	// TokenFile holds the token of a ServiceAccount for AuthKubernetes. For AuthToken
	// it holds a token of Vault that another program, for example an agent, keeps there.
	TokenFile string
	// RoleIDFile and SecretIDFile hold the IDs of an AppRole. The latter may be empty
	// if the role requires none.
	RoleIDFile, SecretIDFile string
}

// The login methods.
const (
	AuthKubernetes = "kubernetes"
	AuthAppRole    = "approle"
	AuthToken      = "token"
)

// Open returns the Vault of the options. It sends no request: the login follows
// with the first one. The error names the option that is wrong.
func Open(o Options) (*Vault, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("the options of Vault: %w", err)
	}
	client, transport, err := newClient(o)
	if err != nil {
		return nil, fmt.Errorf("the options of Vault: %w", err)
	}
	v := &Vault{
		o: o, client: client, transport: transport,
		engines:  map[string]bool{},
		versions: versions{interval: o.PollInterval, refs: map[secrets.Ref]*tracked{}},
		policies: policies{turn: make(chan struct{}, 1)},
	}
	v.life, v.end = context.WithCancel(context.Background())
	return v, nil
}

var (
	labelShape = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	mountShape = regexp.MustCompile(`^[a-zA-Z0-9][-._a-zA-Z0-9]*(/[a-zA-Z0-9][-._a-zA-Z0-9]*)*$`)
)

// check checks the options and sets the callbacks that are missing.
func (o *Options) check() error {
	if o.OnChange == nil {
		o.OnChange = func(secrets.Ref) {}
	}
	if o.OnState == nil {
		o.OnState = func(bool) {}
	}
	switch {
	case o.Timeout <= 0 || o.PollInterval <= 0:
		return errors.New("the timeout and the poll interval must be positive")
	case !labelShape.MatchString(o.Tenant):
		return fmt.Errorf("the tenant %q must be a DNS label", o.Tenant)
	case strings.ContainsFunc(o.Namespace, isNoText):
		return fmt.Errorf("the namespace %q must be plain text without spaces", o.Namespace)
	case len(o.CABundle) > 0 && !x509.NewCertPool().AppendCertsFromPEM(o.CABundle):
		return errors.New("the CA bundle holds no certificate in PEM")
	}
	if err := checkAddress(o.Address); err != nil {
		return err
	}
	return o.Auth.check()
}

// isNoText reports whether a character is a space, or not printable ASCII.
func isNoText(r rune) bool { return r <= ' ' || r > '~' }

// checkAddress does not repeat the address: it may hold a password.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("the address is not a URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the address must be a URL without a user, a query and a fragment")
	case u.Hostname() == "":
		return errors.New("the address must be a URL with a host, for example https://vault.example.com:8200")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("the address must be an https URL")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("the address must be an https URL: plain http is for a host on loopback only")
	}
	return nil
}

func (a Auth) check() error {
	file := a.TokenFile
	switch a.Method {
	case AuthKubernetes, AuthToken:
	case AuthAppRole:
		file = a.RoleIDFile
	default:
		return fmt.Errorf("the login method %q must be %s, %s or %s", a.Method, AuthKubernetes, AuthAppRole, AuthToken)
	}
	switch {
	case file == "":
		return fmt.Errorf("the login by %s needs the file of its token or role ID", a.Method)
	case a.Method != AuthToken && !mountShape.MatchString(a.Mount):
		return fmt.Errorf("the mount %q of the login must be a path of letters, digits, dots, dashes and underscores", a.Mount)
	}
	return nil
}
