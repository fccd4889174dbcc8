package record_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/record"
)

func TestOf(t *testing.T) {
	first := v1alpha1.DeploymentRuntimeSpec{Account: "a", ManifestSource: v1alpha1.ManifestSource{CodeRepo: "r"}}
	second := first
	second.Account = "b"
	last, err := record.Of(nil, 3, first)
	if err != nil || last.Generation != 3 {
		t.Fatalf("the record is %v, error %v", last, err)
	}
	for name, test := range map[string]struct {
		generation int64
		spec       v1alpha1.DeploymentRuntimeSpec
		wantSame   bool
	}{
		"the same":           {generation: 3, spec: first, wantSame: true},
		"another generation": {generation: 4, spec: first},
		"another spec":       {generation: 3, spec: second},
	} {
		got, err := record.Of(last, test.generation, test.spec)
		var spec v1alpha1.DeploymentRuntimeSpec
		if err != nil || json.Unmarshal(got.Spec.Raw, &spec) != nil {
			t.Fatalf("%s: the record is %v, error %v", name, got, err)
		}
		if diff := cmp.Diff(test.spec, spec); diff != "" || got.Generation != test.generation || (got == last) != test.wantSame {
			t.Errorf("%s: the record is of generation %d, with the spec (-want +got):\n%s", name, got.Generation, diff)
		}
	}
	broken := &v1alpha1.DeployedSpec{Generation: 3, Spec: v1alpha1.JSON{Raw: []byte("[]")}}
	if got, err := record.Of(broken, 3, first); err != nil || got == broken {
		t.Errorf("a record that cannot be read is kept: %v", err)
	}
}

// TestLastDeployed holds that a record replaces the spec of a runtime and nothing else.
func TestLastDeployed(t *testing.T) {
	now := metav1.Now()
	runtimes := map[string]func(account string) v1alpha1.Runtime{
		"deployment": func(account string) v1alpha1.Runtime {
			r := &v1alpha1.DeploymentRuntime{ObjectMeta: metav1.ObjectMeta{Name: "r", Generation: 2}}
			r.Spec.Account = account
			return r
		},
		"pipeline": func(account string) v1alpha1.Runtime {
			r := &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Name: "r", Generation: 2}}
			r.Spec.Account = account
			return r
		},
	}
	tests := map[string]struct {
		raw          string
		generation   int64
		deleting     bool
		want         string
		wantReplaced bool
	}{
		"another spec":      {raw: `{"account":"old"}`, generation: 1, want: "old", wantReplaced: true},
		"the same spec":     {raw: `{"account":"old"}`, generation: 2, want: "old"},
		"being deleted":     {raw: `{"account":"old"}`, generation: 1, deleting: true, want: "old"},
		"an empty record":   {generation: 1},
		"a broken record":   {raw: `[]`, generation: 1},
		"without a record":  {},
		"a spec of another": {raw: `{"unknown":true,"account":"old"}`, generation: 1, want: "old", wantReplaced: true},
	}
	for kind, made := range runtimes {
		for name, test := range tests {
			t.Run(kind+"/"+name, func(t *testing.T) {
				r := made("new")
				last := &v1alpha1.DeployedSpec{Generation: test.generation, Spec: v1alpha1.JSON{Raw: []byte(test.raw)}}
				if test.generation == 0 {
					last = nil
				}
				switch r := r.(type) {
				case *v1alpha1.DeploymentRuntime:
					r.Status.Deployed = last
				case *v1alpha1.ProjectPipelineRuntime:
					r.Status.Deployed = last
				}
				if test.deleting {
					r.SetDeletionTimestamp(&now)
				}
				got := record.LastDeployed(r)
				if got == nil != (test.want == "") || got != nil && (got.AccountName() != test.want || got.GetName() != "r") {
					t.Errorf("deployed is %v, want the account %q", got, test.want)
				}
				if replaced := record.Replaced(r); replaced != nil != test.wantReplaced {
					t.Errorf("replaced is %v, want %t", replaced, test.wantReplaced)
				}
				if r.AccountName() != "new" {
					t.Errorf("the runtime itself has the account %s", r.AccountName())
				}
			})
		}
	}
}
