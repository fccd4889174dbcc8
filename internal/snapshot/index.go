package snapshot

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
)

// SetupIndexes adds the index of the references of every kind to a cache, before it
// starts. A Loader needs no other index.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, kind := range references.Kinds() {
		if err := indexer.IndexField(ctx, kind, references.Index, references.IndexValues); err != nil {
			return fmt.Errorf("index %T by %s: %w", kind, references.Index, err)
		}
	}
	return nil
}

// ReferringTo returns the list option for objects that have an object among their
// References. The namespace is empty for an object of the tenant.
func ReferringTo(kind, namespace, name string) client.MatchingFields {
	return client.MatchingFields{references.Index: references.IndexKey(plan.Ref{Kind: kind, Namespace: namespace, Name: name})}
}

// Claiming returns the list option for runtimes that claim a namespace and have it
// on record on a cluster. With an empty cluster it finds the runtimes whose cluster
// depends on their environment.
func Claiming(cluster, namespace string) client.MatchingFields {
	return ReferringTo(references.SharedClaim, cluster, namespace)
}

// NamedRepository returns the list option for the code repositories of a name, in
// all products.
func NamedRepository(name string) client.MatchingFields {
	return ReferringTo(references.SharedRepoName, "", name)
}
