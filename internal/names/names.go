// Package names makes the names of all objects that Nautes writes. It guarantees that
// they fit into the limits of Kubernetes and that no two tuples have the same name: a
// name carries the product's id in a namespace that products share, and the cluster's
// name if it belongs to a cluster. A plain join is used only if it can be split again.
// Every other name ends in a hash of its parts, and no plain join looks as if it did.
package names

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxName is the longest name that is good for every kind and label.
	maxName = 63
	// maxEventSource is the longest name of an EventSource: its Service has the same
	// name and a suffix.
	maxEventSource = maxName - len(ServiceSuffix)
	// ServiceSuffix is the suffix by which Argo Events names the Service of an event
	// source.
	ServiceSuffix = "-eventsource-svc"
	// hashLength is the number of hexadecimal digits of a hash.
	hashLength = 10

	productPrefix = "product-"

	// GroupBinding is the name of the RoleBinding of the product's group.
	GroupBinding = "nautes-product"
	// accountBindingPrefix begins the RoleBindings of accounts.
	accountBindingPrefix = "nautes-account-"
	// ownPrefix begins the names of our objects in namespaces of components.
	ownPrefix = "nautes-"
	// pipelinePrefix and sensorPrefix begin the names of a pipeline runtime's objects
	// in its own namespace.
	pipelinePrefix = "nautes-pipeline-"
	sensorPrefix   = "nautes-sensor-"
	// The suffixes begin with a dot, which no name of a runtime holds.
	gitSuffix       = ".git"
	proxySuffix     = ".proxy"
	syncedSuffix    = ".synced"
	resourcesSuffix = ".resources"
	// tlsPrefix begins the names of the certificates of web pages.
	tlsPrefix = "nautes-tls-"
	// pullPrefix begins the names of image pull secrets.
	pullPrefix = "nautes-pull-"
	// HookCertificate is the name of the Secret with the certificate of the host that the
	// hooks of a cluster call.
	HookCertificate = "nautes-webhook-tls"
	// clusterPrefix begins the names of a cluster's objects in the tenant's Argo CD.
	clusterPrefix = "cluster-"
)

// Product returns the name of the Product of a group with a number in its forge.
func Product(group int64) string { return productPrefix + strconv.FormatInt(group, 10) }

// Group returns the number of the group of a Product of that name, or 0 if it has none.
func Group(product string) int64 {
	// An error leaves a number that does not make the name again.
	n, _ := strconv.ParseInt(strings.TrimPrefix(product, productPrefix), 10, 64)
	if n < 0 || Product(n) != product {
		return 0
	}
	return n
}

// Application returns the name of a runtime's Argo CD Application.
func Application(product, runtime string) string { return Qualified(product, runtime) }

// Repository returns the name of the Secret that registers a code repository in Argo
// CD.
func Repository(product, repo string) string { return Qualified(product, repo) }

// Artifacts returns the name of an artifact repository in the secret store.
func Artifacts(product, repo string) string { return Qualified(product, repo) }

// PullSecret returns the name of the Secret with the credentials of an artifact repository in
// the namespace of a runtime.
func PullSecret(repo string) string { return unique(pullPrefix+repo, true, repo) }

// Cluster returns the name of the Secret that registers a cluster in the tenant's Argo
// CD, and of the AppProject of the cluster's components.
func Cluster(cluster string) string { return unique(clusterPrefix+cluster, true, cluster) }

// ComponentApplication returns the name of the Application that installs a
// component of a cluster. Names of clusters and components hold no dots.
func ComponentApplication(cluster, component string) string {
	return unique(cluster+"."+component, true, cluster, component)
}

// VirtualClusterApplication returns the name of the Application that installs
// a virtual cluster on its host. The name differs for each host.
func VirtualClusterApplication(cluster, host, component string) string {
	return unique(cluster+"."+host+"."+component, true, cluster, host, component)
}

// AccessRole returns the name of the role by which an account of a product
// reads in the secret store.
func AccessRole(product, account string) string { return Qualified(product, account) }

// SecretStore returns the name of the SecretStore of an account.
func SecretStore(account string) string { return unique(ownPrefix+account, true, account) }

// SensorAccount returns the name of the account by which the sensors of a
// pipeline runtime create launchers.
func SensorAccount(product, runtime string) string { return Qualified(product, runtime) }

// ResourcesApplication returns the name of the Application of a pipeline
// runtime's additional resources. The dot distinguishes it from names of deployment
// runtimes, which have none.
func ResourcesApplication(product, runtime string) string {
	return unique(Qualified(product, runtime)+resourcesSuffix, true, product, runtime, resourcesSuffix)
}

// PipelineCredentials returns the name of the Secret that we write with the
// credentials of a pipeline runtime's launchers, in the runtime's namespace.
func PipelineCredentials(runtime string) string {
	return unique(pipelinePrefix+runtime, true, runtime)
}

// SyncedCredentials returns the name of the ExternalSecret with the
// credentials of a pipeline runtime's launchers, and of the Secret that External
// Secrets creates from it. It differs from PipelineCredentials, so that neither has to
// be removed first when the secret store changes.
func SyncedCredentials(runtime string) string {
	return unique(pipelinePrefix+runtime+syncedSuffix, true, runtime, syncedSuffix)
}

// PipelineGit returns the name of the ConfigMap by which the launchers of a pipeline
// runtime know the Git server, in the runtime's namespace.
func PipelineGit(runtime string) string {
	return unique(pipelinePrefix+runtime+gitSuffix, true, runtime, gitSuffix)
}

// DockerRegistry returns the key of a registry in the configuration of Docker, whose own
// registry has a historic one.
func DockerRegistry(registry string) string {
	host, _, _ := strings.Cut(registry, "/")
	if host == "docker.io" || host == "index.docker.io" {
		return "https://index.docker.io/v1/"
	}
	return registry
}

// PipelineProxy returns the name of the Secret with the login by which the launchers of a
// pipeline runtime pass a proxy, in the runtime's namespace.
func PipelineProxy(runtime string) string {
	return unique(pipelinePrefix+runtime+proxySuffix, true, runtime, proxySuffix)
}

// SensorRole returns the name of the Role, and of its binding, that lets the
// sensors of a pipeline runtime create launchers.
func SensorRole(runtime string) string { return unique(sensorPrefix+runtime, true, runtime) }

// LauncherPrefix returns the prefix of the names of a trigger's launchers, 18
// characters; the key of the event follows.
func LauncherPrefix(trigger ...string) string { return unique("launch", false, trigger...) + "-" }

// dashed returns a name without dots. Argo Events turns names into subjects, buckets,
// expressions and names of Services, in which a dot is special or not allowed.
func dashed(name string) string { return strings.ReplaceAll(name, ".", "-") }

// SharedEventSource returns the name of the one EventSource of a kind that a pipeline
// runtime has.
func SharedEventSource(product, runtime, kind string) string {
	return uniqueWithin(maxEventSource, product+"-"+runtime+"-"+kind, splitsOff(product), product, runtime, kind)
}

// ExclusiveEventSource returns the name of the EventSource of a kind for one event source.
func ExclusiveEventSource(product, runtime, source, kind string) string {
	return uniqueWithin(maxEventSource, dashed(product+"-"+runtime+"-"+source+"-"+kind), false, product, runtime, source, kind)
}

// SharedSensor returns the name of the Sensor with all triggers of a pipeline runtime.
func SharedSensor(product, runtime string) string { return Qualified(product, runtime) }

// ExclusiveSensor returns the name of the Sensor with one trigger.
func ExclusiveSensor(product, runtime, source, pipeline, revision, kind string) string {
	return unique(dashed(product+"-"+runtime+"-"+source+"-"+pipeline), false, product, runtime, source, pipeline, revision, kind)
}

// SensorFiles returns the name of the ConfigMap with the files of a sensor.
func SensorFiles(sensor string, files map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		parts = append(parts, name, files[name])
	}
	return sensor + "-" + hash(parts...)
}

// SensorOfFiles returns the sensor of a ConfigMap by its name, or "" if a ConfigMap with
// files does not have such a name.
func SensorOfFiles(name string) string {
	if !endsInHash(name) {
		return ""
	}
	return name[:len(name)-hashLength-1]
}

// Event returns the name of the event of an event source in its EventSource.
func Event(source string) string {
	return unique(dashed(source), !strings.Contains(source, "."), source)
}

// Dependency returns the name of the dependency on an event source in a Sensor.
func Dependency(source, kind string) string {
	return unique(kind+"-"+dashed(source), !strings.Contains(source, "."), kind, source)
}

// SensorTrigger returns the name of a trigger in a Sensor.
func SensorTrigger(source, pipeline, revision, kind string) string {
	return unique(dashed(source)+"-"+dashed(pipeline), false, source, pipeline, revision, kind)
}

// HookSecret returns the name of the Secret with the token of the hook of an
// event source, and of the hook in the forge.
func HookSecret(product, runtime, source string) string {
	return unique(product+"-"+runtime+"-"+dashed(source), false, product, runtime, source)
}

// HookSubject identifies the hook of an event source for its token. A runtime that is
// deleted and created again has another one.
func HookSubject(product, runtime, uid, source string) string {
	// None of the parts holds a slash.
	return strings.Join([]string{product, runtime, uid, source}, "/")
}

// HookIngress returns the name of the Ingress of a runtime's hooks.
func HookIngress(product, runtime string) string { return Qualified(product, runtime) }

// Ingress returns the name of the Ingress of a component.
func Ingress(component string) string { return unique(ownPrefix+component, true, component) }

// PageCertificate returns the name of the Secret with the certificate of a component's web
// page.
func PageCertificate(component string) string { return unique(tlsPrefix+component, true, component) }

// AccountBinding returns the name of the RoleBinding of an account.
func AccountBinding(account string) string {
	return unique(accountBindingPrefix+account, true, account)
}

// Qualified joins a product's id and a name of the product's.
func Qualified(product, name string) string {
	return unique(product+"-"+name, splitsOff(product), product, name)
}

// splitsOff reports whether a product's id can be split from the name after it: with a
// dash in the id, product-a-b + c would be product-a + b-c.
func splitsOff(product string) bool {
	id, found := strings.CutPrefix(product, productPrefix)
	return found && id != "" && !strings.Contains(id, "-")
}

// unique returns the joined name if it can be split again and fits, and otherwise a
// name with a hash of the parts.
func unique(joined string, splits bool, parts ...string) string {
	return uniqueWithin(maxName, joined, splits, parts...)
}

// uniqueWithin is unique for names of another length.
func uniqueWithin(longest int, joined string, splits bool, parts ...string) string {
	if splits && len(joined) <= longest && !endsInHash(joined) {
		return joined
	}
	short := joined[:min(len(joined), longest-hashLength-1)]
	return strings.TrimRight(short, "-.") + "-" + hash(parts...)
}

func hash(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		// The lengths keep ("ab", "c") and ("a", "bc") apart. A hash never
		// fails to take more.
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))[:hashLength]
}

// endsInHash reports whether a name ends like a name with a hash.
func endsInHash(name string) bool {
	at := len(name) - hashLength
	return at > 0 && name[at-1] == '-' && strings.Trim(name[at:], "0123456789abcdef") == ""
}
