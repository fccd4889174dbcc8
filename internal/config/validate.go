package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate checks a complete configuration. It returns an *Error with every
// problem, or nil if there is none.
func (o *Operator) Validate() error {
	var list field.ErrorList
	list = append(list, oneOf(field.NewPath("apiVersion"), o.APIVersion, APIVersion)...)
	list = append(list, oneOf(field.NewPath("kind"), o.Kind, Kind)...)
	list = append(list, label(field.NewPath("tenant"), o.Tenant)...)
	list = append(list, label(field.NewPath("namespace"), o.Namespace)...)
	list = append(list, o.Git.validate(field.NewPath("git"))...)

	receiver := field.NewPath("receiver")
	list = append(list, address(receiver.Child("address"), o.Receiver.Address)...)
	if o.Receiver.PublicURL != "" {
		list = append(list, httpsURL(receiver.Child("publicURL"), o.Receiver.PublicURL, true)...)
	}
	for _, message := range validation.IsDNS1123Subdomain(o.Receiver.KeySecret) {
		list = append(list, field.Invalid(receiver.Child("keySecret"), o.Receiver.KeySecret, message))
	}
	list = append(list, o.SecretStore.validate(field.NewPath("secretStore"))...)
	list = append(list, label(field.NewPath("argocd", "namespace"), o.ArgoCD.Namespace)...)

	clusters := field.NewPath("clusters")
	list = append(list, positive(clusters.Child("probeInterval"), o.Clusters.ProbeInterval.Duration)...)
	list = append(list, positive(clusters.Child("probeTimeout"), o.Clusters.ProbeTimeout.Duration)...)
	list = append(list, positive(clusters.Child("failureThreshold"), o.Clusters.FailureThreshold)...)
	list = append(list, positive(clusters.Child("qps"), o.Clusters.QPS)...)
	list = append(list, positive(clusters.Child("burst"), o.Clusters.Burst)...)

	list = append(list, image(field.NewPath("pipelines", "runnerImage"), o.Pipelines.RunnerImage)...)

	reconcile := field.NewPath("reconcile")
	list = append(list, positive(reconcile.Child("safetyInterval"), o.Reconcile.SafetyInterval.Duration)...)
	list = append(list, positive(reconcile.Child("workers"), o.Reconcile.Workers)...)

	if o.Metrics.Address != off {
		list = append(list, address(field.NewPath("metrics", "address"), o.Metrics.Address)...)
	}
	if o.Probes.Address != off {
		list = append(list, address(field.NewPath("probes", "address"), o.Probes.Address)...)
	}
	if o.LeaderElection.Enabled == nil {
		list = append(list, field.Required(field.NewPath("leaderElection", "enabled"), "write true or false, or leave it out"))
	}
	for _, message := range validation.IsDNS1123Subdomain(o.LeaderElection.Name) {
		list = append(list, field.Invalid(field.NewPath("leaderElection", "name"), o.LeaderElection.Name, message))
	}
	if len(list) == 0 {
		return nil
	}
	problem := &Error{}
	for _, one := range list {
		problem.Problems = append(problem.Problems, one.Error())
	}
	return problem
}

func (g *Git) validate(path *field.Path) field.ErrorList {
	var list field.ErrorList
	if !filepath.IsAbs(g.CacheDir) {
		list = append(list, field.Invalid(path.Child("cacheDir"), g.CacheDir, "write an absolute path"))
	}
	list = append(list, positive(path.Child("pollInterval"), g.PollInterval.Duration)...)
	list = append(list, positive(path.Child("timeout"), g.Timeout.Duration)...)
	protocols := path.Child("allowedProtocols")
	if len(g.AllowedProtocols) == 0 {
		list = append(list, field.Required(protocols, "allow at least one, for example https"))
	}
	seen := sets.New[string]()
	for i, protocol := range g.AllowedProtocols {
		list = append(list, oneOf(protocols.Index(i), protocol, "https", "ssh", "http", "file")...)
		if seen.Has(protocol) {
			list = append(list, field.Duplicate(protocols.Index(i), protocol))
		}
		seen.Insert(protocol)
	}
	list = append(list, file(path.Child("caBundleFile"), g.CABundleFile, false)...)
	list = append(list, file(path.Child("knownHostsFile"), g.KnownHostsFile, false)...)
	return append(list, g.Proxy.validate(path.Child("proxy"))...)
}

var (
	proxyURL  = regexp.MustCompile(`^https?://[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?(:[0-9]{1,5})?/?$`)
	proxyHost = regexp.MustCompile(`^[][A-Za-z0-9.:/*_-]+$`)
)

// validate omits the value of the URL, which may contain a credential.
func (p *GitProxy) validate(path *field.Path) field.ErrorList {
	var list field.ErrorList
	if p.URL != "" && !proxyURL.MatchString(p.URL) {
		list = append(list, field.Invalid(path.Child("url"), field.OmitValueType{}, "write http://host:port, without path and credentials: set login for a proxy that asks for a user name and a password, and put them into the secret store"))
	}
	if p.URL == "" && (len(p.NoProxy) > 0 || p.Login) {
		list = append(list, field.Required(path.Child("url"), "write the URL of the proxy, or remove noProxy and login"))
	}
	for i, host := range p.NoProxy {
		if !proxyHost.MatchString(host) {
			list = append(list, field.Invalid(path.Child("noProxy").Index(i), host, "write a host, an address or a network, without spaces and commas"))
		}
	}
	return list
}

func (s *SecretStore) validate(path *field.Path) field.ErrorList {
	list := oneOf(path.Child("type"), s.Type, SecretStoreKube, SecretStoreVault)
	vault := path.Child("vault")
	switch {
	case s.Type == SecretStoreVault && s.Vault == nil:
		return append(list, field.Required(vault, "set at least the address of Vault, in address"))
	case s.Type != SecretStoreVault && s.Vault != nil:
		return append(list, field.Forbidden(vault, "remove it, or set type to vault"))
	case s.Vault == nil:
		return list
	}
	return append(list, s.Vault.validate(vault)...)
}

// Validate returns all problems of the configuration of Vault.
func (v *Vault) Validate() error { return v.validate(field.NewPath("vault")).ToAggregate() }

func (v *Vault) validate(path *field.Path) field.ErrorList {
	list := httpsURL(path.Child("address"), v.Address, false)
	list = append(list, file(path.Child("caBundleFile"), v.CABundleFile, false)...)
	if strings.ContainsFunc(v.Namespace, func(r rune) bool { return r <= ' ' || r > '~' }) {
		list = append(list, field.Invalid(path.Child("namespace"), v.Namespace, "write plain text without spaces"))
	}
	list = append(list, positive(path.Child("timeout"), v.Timeout.Duration)...)
	list = append(list, positive(path.Child("pollInterval"), v.PollInterval.Duration)...)
	return append(list, v.Auth.validate(path.Child("auth"))...)
}

// mount is the form of the path of an auth mount. It excludes every character with
// a meaning in a URL.
var mount = regexp.MustCompile(`^[a-zA-Z0-9][-._a-zA-Z0-9]*(/[a-zA-Z0-9][-._a-zA-Z0-9]*)*$`)

func (a *VaultAuth) validate(path *field.Path) field.ErrorList {
	list := oneOf(path.Child("method"), a.Method, VaultAuthKubernetes, VaultAuthAppRole, VaultAuthToken)
	appRole := a.Method == VaultAuthAppRole
	if a.Method != VaultAuthToken && !mount.MatchString(a.Mount) {
		list = append(list, field.Invalid(path.Child("mount"), a.Mount, "write the path of the auth mount without auth/, for example approle"))
	}
	if a.Method == VaultAuthKubernetes && a.Role == "" {
		list = append(list, field.Required(path.Child("role"), "name the role to log in as"))
	}
	list = append(list, file(path.Child("tokenFile"), a.TokenFile, !appRole)...)
	list = append(list, file(path.Child("roleIDFile"), a.RoleIDFile, appRole)...)
	return append(list, file(path.Child("secretIDFile"), a.SecretIDFile, appRole)...)
}

func file(path *field.Path, value string, required bool) field.ErrorList {
	switch {
	case value == "" && required:
		return field.ErrorList{field.Required(path, "write an absolute path")}
	case value != "" && !filepath.IsAbs(value):
		return field.ErrorList{field.Invalid(path, value, "write an absolute path")}
	}
	return nil
}

// httpsURL accepts https, and http on loopback only, because tokens are sent to it. The
// error omits the value, which may contain a credential.
func httpsURL(path *field.Path, value string, mayHavePath bool) field.ErrorList {
	hint := "write https://host:port, without a user, a path or a query"
	if mayHavePath {
		hint = "write https://host, without a user, a query or a slash at the end"
	}
	if value == "" {
		return field.ErrorList{field.Required(path, hint)}
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		mayHavePath && strings.HasSuffix(value, "/") || !mayHavePath && strings.Trim(u.Path, "/") != "" {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, hint)}
	}
	loopback := u.Hostname() == "localhost"
	if address, err := netip.ParseAddr(u.Hostname()); err == nil {
		loopback = address.IsLoopback()
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "only https is accepted; http is for a host on loopback")}
	}
	return nil
}

// reference matches a reference to an image: host, path, tag and digest, without
// characters that are special in Tekton, YAML or a shell.
var reference = regexp.MustCompile(`^[a-z0-9][a-zA-Z0-9._:/@-]{0,511}$`)

func image(path *field.Path, value string) field.ErrorList {
	if value == "" || reference.MatchString(value) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, "write the reference of an image, for example registry.example.com/nautes-runner:v1")}
}

// off is the address that turns an endpoint off.
const off = "0"

func label(path *field.Path, value string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "write a DNS label, for example nautes")}
	}
	var list field.ErrorList
	for _, message := range validation.IsDNS1123Label(value) {
		list = append(list, field.Invalid(path, value, message))
	}
	return list
}

func oneOf(path *field.Path, value string, allowed ...string) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}

func positive[T int | float32 | time.Duration](path *field.Path, value T) field.ErrorList {
	if value > 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, "must be greater than zero")}
}

func address(path *field.Path, value string) field.ErrorList {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		var number int
		if number, err = strconv.Atoi(port); err == nil && number >= 0 && number < 1<<16 {
			return nil
		}
	}
	return field.ErrorList{field.Invalid(path, value, "write host:port or :port, for example :8082, with a port below 65536")}
}
