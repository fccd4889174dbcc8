package snapshot_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

func on(provider string) func(*v1alpha1.CodeRepo) {
	return func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = provider }
}

func TestCredentialHolder(t *testing.T) {
	mine := At(5, CodeRepo("product-1", "repo", ""))
	public := func(r *v1alpha1.CodeRepo) {
		r.Spec.CodeRepoProvider, r.Spec.URL = "", "https://public.example.org/a.git"
	}
	tests := map[string]struct {
		of     *v1alpha1.CodeRepo
		others []client.Object
		// want is the holder; wantRefused is true if there is no URL for it.
		want        string
		wantRefused bool
	}{
		"alone":                            {of: mine, want: "product-1"},
		"a younger one":                    {of: mine, others: []client.Object{At(6, CodeRepo("product-2", "repo", ""))}, want: "product-1"},
		"an older one":                     {of: mine, others: []client.Object{At(4, CodeRepo("product-2", "repo", ""))}, want: "product-2", wantRefused: true},
		"one of the same age, named after": {of: mine, others: []client.Object{At(5, CodeRepo("product-2", "repo", ""))}, want: "product-1"},
		"one of the same age, named before": {
			of: mine, others: []client.Object{At(5, CodeRepo("product-0", "repo", ""))}, want: "product-0", wantRefused: true,
		},
		"the oldest of several": {of: mine, others: []client.Object{
			At(4, CodeRepo("product-2", "repo", "")), At(3, CodeRepo("product-4", "repo", "")), At(4, CodeRepo("product-3", "repo", ""))},
			want: "product-4", wantRefused: true},
		"an older one that is being deleted": {
			of: mine, others: []client.Object{At(4, Deleting(CodeRepo("product-2", "repo", "")))}, want: "product-2", wantRefused: true,
		},
		"an older one of another name": {of: mine, others: []client.Object{At(4, CodeRepo("product-2", "other", ""))}, want: "product-1"},
		"an older one of the tenant":   {of: mine, others: []client.Object{At(4, CodeRepo(Namespace, "repo", ""))}, want: "product-1"},
		// Else it would get the credentials as soon as it names the provider.
		"an older one that is public": {
			of: mine, others: []client.Object{At(4, CodeRepo("product-2", "repo", "", public))}, want: "product-2", wantRefused: true,
		},
		"an older one whose provider is absent": {
			of: mine, others: []client.Object{At(4, CodeRepo("product-2", "repo", "", on("absent")))}, want: "product-2", wantRefused: true,
		},
		"of one that is not stored": {
			of: CodeRepo("product-2", "repo", ""), others: []client.Object{mine}, want: "product-2",
		},
		"of one that is not in the snapshot": {of: CodeRepo("product-2", "other", ""), want: "product-2"},
		"of one that does not exist yet": {
			of: At(9, CodeRepo("product-2", "repo", "")), others: []client.Object{mine}, want: "product-1", wantRefused: true,
		},
		"of a draft that makes itself older": {
			of: At(1, CodeRepo("product-2", "repo", "")), others: []client.Object{mine, At(9, CodeRepo("product-2", "repo", ""))}, want: "product-1", wantRefused: true,
		},
		"of a public one, which needs none": {
			of: At(9, CodeRepo("product-2", "repo", "", public)), others: []client.Object{mine}, want: "product-1",
		},
		"of one whose provider is absent": {
			of: At(9, CodeRepo("product-2", "repo", "", on("absent"))), others: []client.Object{mine}, want: "product-1", wantRefused: true,
		},
		"of the tenant": {
			of: At(9, CodeRepo(Namespace, "repo", "", func(r *v1alpha1.CodeRepo) { r.Spec.Product = "product-2" })), others: []client.Object{mine}, want: Namespace,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects := append([]client.Object{Product("product-1"), Product("product-2"), CodeRepoProvider(Provider)}, test.others...)
			if !slices.Contains(objects, client.Object(mine)) && test.of == mine {
				objects = append(objects, mine)
			}
			s := newSnapshot(objects...)
			if got := s.CredentialHolder(test.of); got.Namespace != test.want || got.Name != test.of.Name {
				t.Errorf("the holder is %s, want the one of %s", snapshot.RefOf(got), test.want)
			}
			_, err := s.RepositoryURL(test.of)
			var wrong *snapshot.RepositoryError
			if refused := errors.As(err, &wrong); refused != test.wantRefused {
				t.Fatalf("error %v, want a refusal: %v", err, test.wantRefused)
			}
			if !test.wantRefused {
				return
			}
			if wrong.Reason() != v1alpha1.ReasonRepositoryClaimed || wrong.Field != "metadata.name" || wrong.HeldBy.Namespace != test.want {
				t.Errorf("reason %s, field %s, held by %s", wrong.Reason(), wrong.Field, wrong.HeldBy)
			}
			for _, part := range []string{snapshot.RefOf(test.of).String(), wrong.HeldBy.String(), "use another name"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the message does not say %q: %v", part, err)
				}
			}
		})
	}
}

// The holder of an edited repository is the edited one.
func TestHolderOfAnEdit(t *testing.T) {
	edited := CodeRepo("product-1", "repo", "")
	if got := newSnapshot(CodeRepo("product-1", "repo", "")).CredentialHolder(edited); got != edited {
		t.Errorf("the holder is another version of the repository")
	}
}

func TestRepositoryErrorReason(t *testing.T) {
	r := CodeRepo("product-1", "repo", "", func(r *v1alpha1.CodeRepo) { r.Spec.RepoName = "" })
	_, err := newSnapshot(Product("product-1"), CodeRepoProvider(Provider), r).RepositoryURL(r)
	var wrong *snapshot.RepositoryError
	if !errors.As(err, &wrong) || wrong.Reason() != v1alpha1.ReasonInvalid || wrong.HeldBy != (plan.Ref{}) {
		t.Errorf("error %#v, want one with the reason Invalid and without a holder", err)
	}
}

// namesakes returns code repositories of few names in many products, of random
// age, provider and fate.
func namesakes(dice *rand.Rand) []client.Object {
	var objects []client.Object
	for product := range 6 {
		for name := range 3 {
			if dice.IntN(4) == 0 {
				continue
			}
			r := At(dice.IntN(3), CodeRepo(fmt.Sprintf("product-%d", product), fmt.Sprintf("repo-%d", name), "", on([]string{Provider, Provider, "", "absent"}[dice.IntN(4)])))
			if dice.IntN(4) == 0 {
				Deleting(r)
			}
			objects = append(objects, r)
		}
	}
	return objects
}

// TestOneHolder holds that a name has exactly one holder over all products, in any order
// of the objects. An edit of a spec or a younger repository changes nothing.
func TestOneHolder(t *testing.T) {
	for seed := range uint64(50) {
		dice := rand.New(rand.NewPCG(seed, 0))
		objects := namesakes(dice)
		holders := func(s *snapshot.Snapshot) map[string]string {
			found := map[string]string{}
			for _, o := range objects {
				r := o.(*v1alpha1.CodeRepo)
				holder := snapshot.RefOf(s.CredentialHolder(r)).String()
				if known := found[r.Name]; known != "" && known != holder {
					t.Errorf("seed %d: the name %s has the holders %s and %s", seed, r.Name, known, holder)
				}
				found[r.Name] = holder
			}
			return found
		}
		want := holders(newSnapshot(objects...))
		edited := newSnapshot(objects...)
		for _, o := range objects {
			change := o.DeepCopyObject().(*v1alpha1.CodeRepo)
			change.Spec.CodeRepoProvider, change.Spec.URL = Provider, ""
			edited = edited.With(change)
		}
		edited = edited.With(At(9, CodeRepo("product-0-0", "repo-1", "")))
		shuffled := slices.Clone(objects)
		dice.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		one := newSnapshot()
		for _, o := range shuffled {
			one = one.With(o)
		}
		for name, s := range map[string]*snapshot.Snapshot{"edited": edited, "shuffled": newSnapshot(shuffled...), "one by one": one} {
			if diff := cmp.Diff(want, holders(s)); diff != "" {
				t.Errorf("seed %d, %s (-want +got):\n%s", seed, name, diff)
			}
		}
	}
}
