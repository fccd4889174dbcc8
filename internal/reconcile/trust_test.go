package reconcile

import (
	"strings"
	"testing"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
)

// The message has all that is needed to decide what to do with the value.
func TestForeignTrustError(t *testing.T) {
	for name, test := range map[string]struct {
		managers []string
		want     string
	}{
		"one writer":  {managers: []string{"argocd-server"}, want: "ConfigMap argocd/argocd-tls-certs-cm on cluster alpha has a value of argocd-server for git.example.com"},
		"two writers": {managers: []string{"helm", "kubectl-edit"}, want: "has a value of helm, kubectl-edit for git.example.com"},
		"nobody":      {want: "has a value of another writer for git.example.com"},
	} {
		err := &apply.ItemError{
			ID: plan.ID{Group: "argoproj.io", Kind: "Application", Namespace: "argocd", Name: "alpha.argocd"}, Target: plan.Tenant,
			Err: &ForeignTrustError{Cluster: "alpha", ConfigMap: "argocd/argocd-tls-certs-cm", Key: "git.example.com", Managers: test.managers},
		}
		outcome := Classify(err)
		if outcome == nil || outcome.Reason != v1alpha1.ReasonNotOurs || outcome.RetryAfter == 0 || !strings.Contains(outcome.Message, test.want) {
			t.Errorf("%s: %+v, want NotOurs with %q", name, outcome, test.want)
		}
	}
}
