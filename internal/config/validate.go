package config

import (
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate checks a complete configuration. It returns nil or an *Error with
// every problem.
func (o *Operator) Validate() error {
	var list field.ErrorList
	list = append(list, oneOf(field.NewPath("apiVersion"), o.APIVersion, APIVersion)...)
	list = append(list, oneOf(field.NewPath("kind"), o.Kind, Kind)...)
	list = append(list, label(field.NewPath("tenant"), o.Tenant)...)
	list = append(list, label(field.NewPath("namespace"), o.Namespace)...)
	list = append(list, o.Git.validate(field.NewPath("git"))...)

	receiver := field.NewPath("receiver")
	list = append(list, address(receiver.Child("address"), o.Receiver.Address)...)
	for _, message := range validation.IsDNS1123Subdomain(o.Receiver.KeySecret) {
		list = append(list, field.Invalid(receiver.Child("keySecret"), o.Receiver.KeySecret, message))
	}
	list = append(list, oneOf(field.NewPath("secretStore", "type"), o.SecretStore.Type, SecretStoreKube)...)

	clusters := field.NewPath("clusters")
	list = append(list, positive(clusters.Child("probeInterval"), o.Clusters.ProbeInterval.Duration)...)
	list = append(list, positive(clusters.Child("probeTimeout"), o.Clusters.ProbeTimeout.Duration)...)
	list = append(list, positive(clusters.Child("failureThreshold"), o.Clusters.FailureThreshold)...)
	list = append(list, positive(clusters.Child("qps"), o.Clusters.QPS)...)
	list = append(list, positive(clusters.Child("burst"), o.Clusters.Burst)...)

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
		list = append(list, field.Required(protocols, "allow at least one, as https"))
	}
	seen := sets.New[string]()
	for i, protocol := range g.AllowedProtocols {
		list = append(list, oneOf(protocols.Index(i), protocol, "https", "ssh", "http", "file")...)
		if seen.Has(protocol) {
			list = append(list, field.Duplicate(protocols.Index(i), protocol))
		}
		seen.Insert(protocol)
	}
	return list
}

// off as an address turns an endpoint off.
const off = "0"

func label(path *field.Path, value string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "write a DNS label, as nautes")}
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
	return field.ErrorList{field.Invalid(path, value, "write host:port or :port, as :8082, with a port below 65536")}
}
