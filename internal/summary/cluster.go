package summary

import (
	"fmt"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// ProductIDs returns the ids of the products that a cluster names. A name
// keeps its id as long as the spec has it, so that a new product of the same
// name does not inherit the grants of another one.
func ProductIDs(snap *snapshot.Snapshot, c *v1alpha1.Cluster) map[string]string {
	ids := map[string]string{}
	resolve := func(name string) {
		if id, known := c.Status.ProductIDMap[name]; known {
			ids[name] = id
		} else if p := snap.ProductByName(name); p != nil {
			ids[name] = p.Name
		}
	}
	for _, names := range c.Spec.ReservedNamespacesAllowedProducts {
		for _, name := range names {
			resolve(name)
		}
	}
	for name := range c.Spec.ProductAllowedClusterResources {
		resolve(name)
	}
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// UsedBy lists the users of a cluster, for people.
func UsedBy(snap *snapshot.Snapshot, c *v1alpha1.Cluster) []string {
	var users []string
	for _, user := range snap.UsersOf(c) {
		users = append(users, fmt.Sprintf("%s/%s/%s", user.Kind, user.Namespace, user.Name))
	}
	slices.Sort(users)
	if len(users) > maxUsers {
		users = users[:maxUsers]
	}
	return users
}

const maxUsers = 20

// Credentials sets the condition Credentials of a cluster, given the error of its
// kubeconfig.
func Credentials(facts *engine.Facts, c *v1alpha1.Cluster, err error) {
	place := "the secret store at " + secrets.ClusterKubeconfig(c.Name).String()
	if ref := c.Spec.KubeconfigSecretRef; ref != nil {
		place = "Secret " + ref.Name
	}
	if err != nil {
		facts.Fail(v1alpha1.ConditionCredentials, err)
		return
	}
	facts.True(v1alpha1.ConditionCredentials, v1alpha1.ReasonSecretFound, "the kubeconfig is in "+place)
}

// Connected sets the condition Connected of a cluster that answers.
func Connected(facts *engine.Facts, version string) {
	facts.True(v1alpha1.ConditionConnected, v1alpha1.ReasonConnected, "Kubernetes "+version+" answers")
}

// Supported sets the condition Supported of a cluster that has answered once. It returns
// an error if the components cannot be installed on its version.
func Supported(facts *engine.Facts, snap *snapshot.Snapshot, c *v1alpha1.Cluster) error {
	if c.Status.Connection == nil {
		return nil
	}
	have := c.Status.Connection.Version
	if !build.VersionSupported(snap, have) {
		err := engine.Terminal(v1alpha1.ReasonVersionUnsupported,
			"Kubernetes %s is older than %s, which the components need: upgrade the cluster", have, snap.Catalogue().MinimumKubernetesVersion())
		facts.Fail(v1alpha1.ConditionSupported, err)
		return err
	}
	facts.True(v1alpha1.ConditionSupported, v1alpha1.ReasonVersionSupported, "Kubernetes "+have+" is supported")
	return nil
}

// Registered sets the condition Registered of a cluster that the tenant's Argo CD knows.
func Registered(facts *engine.Facts) {
	facts.True(v1alpha1.ConditionRegistered, v1alpha1.ReasonRegistered, "the tenant's Argo CD knows the cluster")
}

// HostNotReady returns the reason why a virtual cluster waits, given the message about
// its host.
func HostNotReady(cause string) error {
	return engine.Waiting(v1alpha1.ReasonHostNotReady, "the host of the virtual cluster is not ready: %s", cause)
}

// Reregistering returns the reason why a cluster is not registered anew yet, given the
// message about the objects of the earlier registration.
func Reregistering(cause string) error {
	return engine.Waiting(v1alpha1.ReasonReregistering, "the objects of the earlier registration are removed first: %s", cause)
}
