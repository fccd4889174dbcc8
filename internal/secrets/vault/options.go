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

// The defaults of Options.
const (
	defaultTimeout      = 5 * time.Second
	defaultPollInterval = 30 * time.Second
	defaultTokenFile    = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	defaultRole         = "nautes-operator"
	defaultAppRoleMount = "approle"
)

// Options say which Vault is used, and how.
type Options struct {
	// Address is the https URL of Vault; http only for a host on loopback.
	Address string
	// CABundle holds the certificates that vouch for Vault, in PEM; those of the
	// system when empty.
	CABundle []byte
	// Namespace of Vault Enterprise; none when empty.
	Namespace string
	// Auth is how we log in.
	Auth Auth
	// Tenant whose marks everything bears that is made. A DNS label.
	Tenant string
	// Timeout of one request; 5 seconds when zero. What takes Vault longer, as
	// the removal of a mount with all its tokens, has six times as long.
	Timeout time.Duration
	// PollInterval between two looks at the version of a secret that is in use;
	// 30 seconds when zero.
	PollInterval time.Duration
	// OnChange is told of each secret in use of which another version is seen,
	// or which has come or gone, whoever has changed it. It must not block.
	OnChange func(secrets.Ref)
	// OnState is told that Vault cannot be used any more (false), or again
	// (true). It must not block, nor use the Vault.
	OnState func(healthy bool)
	// Log is told, in our words, why Vault cannot be used.
	Log logr.Logger
}

// Auth is how to log in: one of the three. Files are read anew at each login.
type Auth struct {
	Kubernetes *Kubernetes
	AppRole    *AppRole
	Token      *Token
}

// Kubernetes logs in with the token of a ServiceAccount.
type Kubernetes struct {
	// Mount of the method, without auth/; the tenant's name when empty.
	Mount string
	// Role to log in as; nautes-operator when empty.
	Role string
	// TokenFile holds the token; the pod's own when empty.
	TokenFile string
}

// AppRole logs in as a machine.
type AppRole struct {
	// Mount of the method, without auth/; approle when empty.
	Mount string
	// RoleIDFile holds the role's ID, and SecretIDFile its secret; the latter may
	// be empty when the role asks for none.
	RoleIDFile, SecretIDFile string
}

// Token uses a token that somebody else, as an agent, keeps in a file.
type Token struct {
	File string
}

// Open returns the Vault of the options, without asking it anything: we log in
// when something is asked for. The error says which option is wrong.
func Open(o Options) (*Vault, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("the options of Vault: %w", err)
	}
	client, transport, err := newClient(o)
	if err != nil {
		return nil, fmt.Errorf("the options of Vault: %w", err)
	}
	v := &Vault{
		o: o, client: client, transport: transport,
		fresh:    make(chan struct{}, 1),
		engines:  map[string]bool{},
		versions: versions{interval: o.PollInterval, refs: map[secrets.Ref]*tracked{}},
		policies: policies{turn: make(chan struct{}, 1), owners: map[string]string{}},
	}
	v.life, v.end = context.WithCancel(context.Background())
	return v, nil
}

var (
	labelShape = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	mountShape = regexp.MustCompile(`^[a-zA-Z0-9][-._a-zA-Z0-9]*(/[a-zA-Z0-9][-._a-zA-Z0-9]*)*$`)
)

// complete sets the defaults and checks the options.
func (o *Options) complete() error {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.PollInterval == 0 {
		o.PollInterval = defaultPollInterval
	}
	if o.OnChange == nil {
		o.OnChange = func(secrets.Ref) {}
	}
	if o.OnState == nil {
		o.OnState = func(bool) {}
	}
	switch {
	case o.Timeout < 0 || o.PollInterval < 0:
		return errors.New("the timeout and the poll interval must be positive")
	case !labelShape.MatchString(o.Tenant):
		return fmt.Errorf("the tenant %q must be a DNS label", o.Tenant)
	case strings.ContainsFunc(o.Namespace, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("the namespace %q must be plain text without spaces", o.Namespace)
	case len(o.CABundle) > 0 && !x509.NewCertPool().AppendCertsFromPEM(o.CABundle):
		return errors.New("the CA bundle holds no certificate in PEM")
	}
	if err := checkAddress(o.Address); err != nil {
		return err
	}
	return o.completeAuth()
}

// checkAddress does not repeat the address: it may hold a password.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("the address is not a URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the address must be a URL without a user, a query and a fragment")
	case u.Hostname() == "":
		return errors.New("the address must be a URL with a host, as https://vault.example.com:8200")
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

// completeAuth copies what it completes: the caller's own stays as it is.
func (o *Options) completeAuth() error {
	chosen := 0
	var mount string
	if k := o.Auth.Kubernetes; k != nil {
		chosen++
		own := Kubernetes{Mount: or(k.Mount, o.Tenant), Role: or(k.Role, defaultRole), TokenFile: or(k.TokenFile, defaultTokenFile)}
		o.Auth.Kubernetes, mount = &own, own.Mount
	}
	if a := o.Auth.AppRole; a != nil {
		chosen++
		own := *a
		own.Mount = or(a.Mount, defaultAppRoleMount)
		o.Auth.AppRole, mount = &own, own.Mount
		if own.RoleIDFile == "" {
			return errors.New("the login by AppRole needs the file of the role's ID")
		}
	}
	if t := o.Auth.Token; t != nil {
		chosen++
		if t.File == "" {
			return errors.New("the login by a token needs its file")
		}
	}
	switch {
	case chosen != 1:
		return errors.New("one way to log in is needed: Kubernetes, AppRole or a token")
	case o.Auth.Token == nil && !mountShape.MatchString(mount):
		return fmt.Errorf("the mount %q of the login must be a path of letters, digits, dots, dashes and underscores", mount)
	}
	return nil
}

func or(value, other string) string {
	if value == "" {
		return other
	}
	return value
}
