package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// This file is the only maker of names. What lives in a namespace that products
// share carries the product's id, what is of a cluster carries its name, and no
// two tuples have one name: a plain join is used only where it can be taken apart
// again, anything else ends in a hash of the tuple, and no plain join looks as if
// it did.

const (
	// maxName is the longest name that is good for every kind and label.
	maxName = 63
	// maxEventSource is the longest name of an EventSource: that of its Service has
	// a suffix.
	maxEventSource = maxName - len(serviceSuffix)
	// hashLength is the number of hexadecimal digits of a hash.
	hashLength = 10

	productPrefix = "product-"

	// groupBinding is the RoleBinding of the product's group.
	groupBinding = "nautes-product"
	// accountBindingPrefix begins the RoleBindings of accounts.
	accountBindingPrefix = "nautes-account-"
	// ownPrefix begins what is ours among the objects of others.
	ownPrefix = "nautes-"
	// pipelinePrefix and sensorPrefix begin what a pipeline runtime has in its
	// own namespace.
	pipelinePrefix = "nautes-pipeline-"
	sensorPrefix   = "nautes-sensor-"
	// The suffixes begin with a dot, which no name of a runtime holds.
	syncedSuffix    = ".synced"
	resourcesSuffix = ".resources"
	// clusterPrefix begins what the tenant's Argo CD has of a cluster.
	clusterPrefix = "cluster-"
)

// ApplicationName returns the name of a runtime's Argo CD Application.
func ApplicationName(product, runtime string) string { return qualified(product, runtime) }

// RepositoryName returns the name of the Secret that tells Argo CD of a code
// repository.
func RepositoryName(product, repo string) string { return qualified(product, repo) }

// ClusterName returns the name of the Secret that tells the tenant's Argo CD of a
// cluster, and of the project of the cluster's components.
func ClusterName(cluster string) string { return unique(clusterPrefix+cluster, true, cluster) }

// ComponentApplicationName returns the name of the Application that installs a
// component of a cluster. Names of clusters and components hold no dots.
func ComponentApplicationName(cluster, component string) string {
	return unique(cluster+"."+component, true, cluster, component)
}

// VirtualClusterApplicationName returns the name of the Application that installs
// a virtual cluster on its host. On another host it is another one.
func VirtualClusterApplicationName(cluster, host, component string) string {
	return unique(cluster+"."+host+"."+component, true, cluster, host, component)
}

// AccessRoleName returns the name of the role by which an account of a product
// reads in the secret store.
func AccessRoleName(product, account string) string { return qualified(product, account) }

// SecretStoreName returns the name of the SecretStore of an account.
func SecretStoreName(account string) string { return unique(ownPrefix+account, true, account) }

// SensorAccountName returns the name of the account by which the sensors of a
// pipeline runtime create launchers.
func SensorAccountName(product, runtime string) string { return qualified(product, runtime) }

// ResourcesApplicationName returns the name of the Application of a pipeline
// runtime's additional resources. The dot tells it from those of deployment
// runtimes, whose names hold none.
func ResourcesApplicationName(product, runtime string) string {
	return unique(qualified(product, runtime)+resourcesSuffix, true, product, runtime, resourcesSuffix)
}

// PipelineCredentialsName returns the name of the Secret that we write with the
// credentials of a pipeline runtime's launchers, in the runtime's namespace.
func PipelineCredentialsName(runtime string) string {
	return unique(pipelinePrefix+runtime, true, runtime)
}

// SyncedCredentialsName returns the name of the ExternalSecret with the
// credentials of a pipeline runtime's launchers, and of the Secret that External
// Secrets makes of it. It is another one than ours, so that neither has to make
// way for the other when the secret store changes.
func SyncedCredentialsName(runtime string) string {
	return unique(pipelinePrefix+runtime+syncedSuffix, true, runtime, syncedSuffix)
}

// sensorRoleName returns the name of the Role, and of its binding, that lets the
// sensors of a pipeline runtime create launchers.
func sensorRoleName(runtime string) string { return unique(sensorPrefix+runtime, true, runtime) }

// launcherPrefix returns what the names of a trigger's launchers begin with, 18
// characters; the key of the event follows.
func launcherPrefix(trigger ...string) string { return unique("launch", false, trigger...) + "-" }

// dashed returns a name without dots. Argo Events makes subjects, buckets,
// expressions and names of Services of what it is given, in which a dot means
// something or may not be.
func dashed(name string) string { return strings.ReplaceAll(name, ".", "-") }

// sharedEventSourceName returns the name of the EventSource of a kind that a
// pipeline runtime has, exclusiveEventSourceName that of one for a single event
// source.
func sharedEventSourceName(product, runtime, kind string) string {
	return uniqueWithin(maxEventSource, product+"-"+runtime+"-"+kind, splitsOff(product), product, runtime, kind)
}

func exclusiveEventSourceName(product, runtime, source, kind string) string {
	return uniqueWithin(maxEventSource, dashed(product+"-"+runtime+"-"+source+"-"+kind), false, product, runtime, source, kind)
}

// sharedSensorName returns the name of the Sensor with all triggers of a pipeline
// runtime, exclusiveSensorName that of a Sensor with one trigger.
func sharedSensorName(product, runtime string) string { return qualified(product, runtime) }

func exclusiveSensorName(product, runtime, source, pipeline, revision, kind string) string {
	return unique(dashed(product+"-"+runtime+"-"+source+"-"+pipeline), false, product, runtime, source, pipeline, revision, kind)
}

// sensorFilesName returns the name of the ConfigMap with the files of a sensor, and
// sensorOfFiles the name of the sensor; empty if the name is not one of a ConfigMap
// with files.
func sensorFilesName(sensor string, files map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		parts = append(parts, name, files[name])
	}
	return sensor + "-" + hash(parts...)
}

func sensorOfFiles(name string) string {
	if !endsInHash(name) {
		return ""
	}
	return name[:len(name)-hashLength-1]
}

// eventName, dependencyName and sensorTriggerName return the names of parts of
// EventSources and Sensors.
func eventName(source string) string {
	return unique(dashed(source), !strings.Contains(source, "."), source)
}

func dependencyName(source, kind string) string {
	return unique(kind+"-"+dashed(source), !strings.Contains(source, "."), kind, source)
}

func sensorTriggerName(source, pipeline, revision, kind string) string {
	return unique(dashed(source)+"-"+dashed(pipeline), false, source, pipeline, revision, kind)
}

// hookSecretName returns the name of the Secret with the token of the hook of an
// event source, and of the hook in GitLab.
func hookSecretName(product, runtime, source string) string {
	return unique(product+"-"+runtime+"-"+dashed(source), false, product, runtime, source)
}

// hookIngressName returns the name of the Ingress of a runtime's hooks.
func hookIngressName(product, runtime string) string { return qualified(product, runtime) }

// ingressName returns the name of the Ingress of a component.
func ingressName(component string) string { return unique(ownPrefix+component, true, component) }

// accountBinding returns the name of the RoleBinding of an account.
func accountBinding(account string) string {
	return unique(accountBindingPrefix+account, true, account)
}

// qualified joins a product's id and a name of the product's.
func qualified(product, name string) string {
	return unique(product+"-"+name, splitsOff(product), product, name)
}

// splitsOff tells whether a product's id can be told from the name after it: with
// a dash in the id, product-a-b + c would be product-a + b-c.
func splitsOff(product string) bool {
	id, found := strings.CutPrefix(product, productPrefix)
	return found && id != "" && !strings.Contains(id, "-")
}

// unique returns the joined name as it is when it can be told from every other
// one, else a name with a hash of the parts.
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

// endsInHash tells whether a name ends as those with a hash do.
func endsInHash(name string) bool {
	at := len(name) - hashLength
	return at > 0 && name[at-1] == '-' && strings.Trim(name[at:], "0123456789abcdef") == ""
}
