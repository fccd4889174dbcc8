package discover_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/discover"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/testutil"
)

var now = time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC)

// ours returns a Product of the provider.
func ours(name, path string, change ...func(*v1alpha1.Product)) *v1alpha1.Product {
	p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: name, Labels: discover.Owner("products").Labels("t")}}
	p.Spec = v1alpha1.ProductSpec{Name: path, MetaDataPath: "https://git.example/" + path + "/default.project.git", Branch: "main"}
	for _, f := range change {
		f(p)
	}
	return p
}

func world(change func(*discover.World)) discover.World {
	w := discover.World{
		Tenant: "t", Namespace: "nautes", Now: now, Account: "bot", SeesAll: true,
		Provider:         testutil.ProductProvider("products", "gitlab"),
		CodeRepoProvider: testutil.CodeRepoProvider("gitlab", func(p *v1alpha1.CodeRepoProvider) { p.Spec.HTTPAddress = "https://git.example" }),
	}
	change(&w)
	return w
}

func TestAsk(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*discover.World)
		want   []int64
	}{
		"nothing":                  {change: func(*discover.World) {}},
		"a new group":              {change: func(w *discover.World) { w.Listed = []discover.Found{{Group: 7, Path: "labs"}} }, want: []int64{7}},
		"a repository of a person": {change: func(w *discover.World) { w.Listed = []discover.Found{{Path: "me"}} }},
		"a product as it was": {change: func(w *discover.World) {
			w.Listed, w.Products = []discover.Found{{Group: 7, Path: "labs"}}, []*v1alpha1.Product{ours("product-7", "labs")}
		}},
		"a product that is not listed": {change: func(w *discover.World) { w.Products = []*v1alpha1.Product{ours("product-7", "labs")} }, want: []int64{7}},
		"another path": {change: func(w *discover.World) {
			w.Listed, w.Products = []discover.Found{{Group: 7, Path: "labs-deletion_scheduled-7"}}, []*v1alpha1.Product{ours("product-7", "labs")}
		}, want: []int64{7}},
		"a repository that leaves": {change: func(w *discover.World) {
			w.Listed, w.Products = []discover.Found{{Group: 7, Path: "labs", Leaving: true}}, []*v1alpha1.Product{ours("product-7", "labs")}
		}, want: []int64{7}},
		"a Product that is deleted": {change: func(w *discover.World) {
			w.Listed, w.Products = []discover.Found{{Group: 7, Path: "labs"}}, []*v1alpha1.Product{testutil.Deleting(ours("product-7", "labs"))}
		}, want: []int64{7}},
		"a Product of others": {change: func(w *discover.World) {
			w.Listed, w.Products = []discover.Found{{Group: 7, Path: "renamed"}}, []*v1alpha1.Product{testutil.Product("product-7")}
		}},
		"a Product of another provider": {change: func(w *discover.World) {
			other := ours("product-7", "labs")
			other.Labels[v1alpha1.LabelOwnerName] = "others"
			w.Listed, w.Products = []discover.Found{{Group: 7, Path: "renamed"}}, []*v1alpha1.Product{other}
		}},
		"a Product of another kind of owner": {change: func(w *discover.World) {
			other := ours("product-7", "labs")
			other.Labels[v1alpha1.LabelOwnerKind] = "Tenant"
			w.Listed, w.Products = []discover.Found{{Group: 7, Path: "renamed"}}, []*v1alpha1.Product{other}
		}},
		"names without a number": {change: func(w *discover.World) {
			w.Products = []*v1alpha1.Product{ours("product-shop", "shop"), ours("product-07", "labs"), ours("product--7", "labs"), ours("7", "labs"), ours("product-0", "labs")}
		}},
		"several, in order": {change: func(w *discover.World) {
			w.Listed = []discover.Found{{Group: 12, Path: "b"}, {Group: 3, Path: "a"}}
			w.Products = []*v1alpha1.Product{ours("product-5", "c")}
		}, want: []int64{3, 5, 12}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, world(test.change).Ask(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

// product is a Product of a set, as a test prints it.
type product struct{ Name, Group, URL, Branch string }

func TestDecide(t *testing.T) {
	labs := product{"product-7", "labs", "https://git.example/labs/default.project.git", "main"}
	listed := func(change ...func(*discover.Found)) func(*discover.World) {
		return func(w *discover.World) {
			f := discover.Found{Group: 7, Path: "labs", Branch: "main"}
			for _, c := range change {
				c(&f)
			}
			w.Listed = append(w.Listed, f)
		}
	}
	known := func(w *discover.World) { w.Products = append(w.Products, ours("product-7", "labs")) }
	answer := func(g discover.Group) func(*discover.World) {
		return func(w *discover.World) { w.Groups = map[int64]discover.Group{7: g} }
	}
	present, missing := answer(discover.Group{Path: "labs"}), answer(discover.Group{Missing: true})
	since := func(reason string, ago time.Duration) func(*discover.World) {
		return func(w *discover.World) {
			w.Provider.Status.Departures = []v1alpha1.ProductDeparture{{Product: "product-7", Reason: reason, Since: at(ago)}}
		}
	}
	grace := func(seconds int32) func(*discover.World) {
		return func(w *discover.World) { w.Provider.Spec.GracePeriodSeconds = &seconds }
	}
	ended := func(w *discover.World) { w.Provider = testutil.Deleting(w.Provider) }
	other := func(w *discover.World) { w.Listed = append(w.Listed, discover.Found{Group: 9, Path: "other"}) }
	member := func(w *discover.World) { w.SeesAll = false }
	for name, test := range map[string]struct {
		change    []func(*discover.World)
		want      []product
		wantKept  []string
		departure *v1alpha1.ProductDeparture
		wantErr   bool
	}{
		"a new group": {change: []func(*discover.World){listed(), present}, want: []product{labs}},
		"a new group renamed since the list": {
			change: []func(*discover.World){listed(func(f *discover.Found) { f.Path = "a" }), present}, want: []product{labs},
		},
		"a new group that was not asked":   {change: []func(*discover.World){listed()}},
		"a new group that is gone already": {change: []func(*discover.World){listed(), missing}},
		"a new group that leaves":          {change: []func(*discover.World){listed(), answer(discover.Group{Path: "labs", Leaving: true})}},
		"a new group whose repository leaves": {
			change: []func(*discover.World){listed(func(f *discover.Found) { f.Leaving = true }), present},
		},
		"a new group while the provider is deleted": {change: []func(*discover.World){listed(), present, ended}},
		"an empty repository":                       {change: []func(*discover.World){listed(func(f *discover.Found) { f.Branch = "" }), present}, want: []product{labs}},
		"a product as it was":                       {change: []func(*discover.World){listed(), known}, want: []product{labs}},
		"a product while the provider is deleted":   {change: []func(*discover.World){listed(), known, ended}, want: []product{labs}},
		"another branch": {
			change: []func(*discover.World){listed(func(f *discover.Found) { f.Branch = "trunk" }), known},
			want:   []product{{labs.Name, labs.Group, labs.URL, "trunk"}},
		},
		"a repository that was emptied": {
			change: []func(*discover.World){listed(func(f *discover.Found) { f.Branch = "" }), func(w *discover.World) {
				w.Products = []*v1alpha1.Product{ours("product-7", "labs", func(p *v1alpha1.Product) { p.Spec.Branch = "trunk" })}
			}},
			want: []product{{labs.Name, labs.Group, labs.URL, "trunk"}},
		},
		"a renamed group": {
			change: []func(*discover.World){listed(func(f *discover.Found) { f.Path = "lab/s" }), known, answer(discover.Group{Path: "lab/s"})},
			want:   []product{{labs.Name, "lab/s", "https://git.example/lab/s/default.project.git", "main"}},
		},
		"a group renamed since the list": {
			change: []func(*discover.World){listed(func(f *discover.Found) { f.Path = "a" }), known, answer(discover.Group{Path: "b"})},
			want:   []product{{labs.Name, "b", "https://git.example/b/default.project.git", "main"}},
		},
		"without a web address": {
			change: []func(*discover.World){listed(), known, func(w *discover.World) {
				w.CodeRepoProvider.Spec.HTTPAddress, w.CodeRepoProvider.Spec.SSHAddress = "", "ssh://git@git.example:2222"
			}},
			want: []product{{labs.Name, labs.Group, "ssh://git@git.example:2222/labs/default.project.git", "main"}},
		},
		"an address that is none": {
			change:  []func(*discover.World){listed(), known, func(w *discover.World) { w.CodeRepoProvider.Spec.HTTPAddress = "https://me:secret@git.example" }},
			wantErr: true,
		},
		"a group that is marked": {
			change:    []func(*discover.World){known, listed(func(f *discover.Found) { f.Path = "labs-deletion_scheduled-7" }), answer(discover.Group{Path: "labs-deletion_scheduled-7", Leaving: true})},
			wantKept:  []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "MarkedForDeletion", Since: at(0), Message: "the forge will delete group labs: restore it there to keep the product, which is removed 1h0m0s after the group"},
		},
		"a group that is marked, not listed": {
			change:    []func(*discover.World){known, answer(discover.Group{Path: "x", Leaving: true}), since("MarkedForDeletion", time.Hour)},
			wantKept:  []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "MarkedForDeletion", Since: at(time.Hour), Message: "the forge will delete group labs: restore it there to keep the product, which is removed 1h0m0s after the group"},
		},
		"a repository that is marked": {
			change:    []func(*discover.World){known, listed(func(f *discover.Found) { f.Leaving = true }), present},
			wantKept:  []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "MarkedForDeletion", Since: at(0), Message: "the forge will delete the repository default.project of group labs: restore it there to keep the product, which is removed 1h0m0s after the group"},
		},
		"no repository": {
			change:    []func(*discover.World){known, present, since("GroupMissing", time.Hour)},
			wantKept:  []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "RepositoryMissing", Since: at(0), Message: "group labs has no default.project that the account bot maintains: create the repository again, or delete the Product"},
		},
		"not listed and not asked": {change: []func(*discover.World){known}, wantKept: []string{"product-7"}},
		"a missing group": {
			change: []func(*discover.World){known, missing}, wantKept: []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "GroupMissing", Since: at(0), Message: "the forge shows no group 7 to the account bot: the product is removed at 2024-01-02T04:04:05Z, with everything that it deployed"},
		},
		"a group that has been missing for a while": {
			change: []func(*discover.World){known, missing, since("GroupMissing", 40*time.Minute)}, wantKept: []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "GroupMissing", Since: at(40 * time.Minute), Message: "the forge shows no group 7 to the account bot: the product is removed at 2024-01-02T03:24:05Z, with everything that it deployed"},
		},
		"a group that was marked before it went": {
			change: []func(*discover.World){known, missing, since("MarkedForDeletion", 40*time.Hour)}, wantKept: []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "GroupMissing", Since: at(0), Message: "the forge shows no group 7 to the account bot: the product is removed at 2024-01-02T04:04:05Z, with everything that it deployed"},
		},
		"a group that is missing, as another one": {
			change: []func(*discover.World){known, missing, func(w *discover.World) {
				w.Provider.Status.Departures = []v1alpha1.ProductDeparture{{Product: "product-6", Reason: "GroupMissing", Since: at(40 * time.Hour)}}
			}}, wantKept: []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "GroupMissing", Since: at(0), Message: "the forge shows no group 7 to the account bot: the product is removed at 2024-01-02T04:04:05Z, with everything that it deployed"},
		},
		"a Product with our labels and no number": {
			change: []func(*discover.World){func(w *discover.World) {
				w.Products = []*v1alpha1.Product{ours("product-shop", "shop"), ours("product--7", "shop")}
			}},
			wantKept: []string{"product--7", "product-shop"},
		},
		"the end of the grace period":     {change: []func(*discover.World){known, missing, since("GroupMissing", time.Hour)}},
		"a grace period of its own":       {change: []func(*discover.World){known, missing, since("GroupMissing", 10*time.Second), grace(10)}},
		"no grace period":                 {change: []func(*discover.World){known, missing, grace(0)}},
		"a member that sees other groups": {change: []func(*discover.World){known, missing, member, other, grace(0)}},
		"a member that sees nothing": {
			change: []func(*discover.World){known, missing, member, since("GroupMissing", 40*time.Hour)}, wantKept: []string{"product-7"},
			departure: &v1alpha1.ProductDeparture{Reason: "GroupMissing", Since: at(40 * time.Hour), Message: "the forge shows no group at all to the account bot: give it the role Maintainer in group labs, or delete the Product if the group is gone"},
		},
		"a Product of others": {change: []func(*discover.World){listed(), present, func(w *discover.World) { w.Products = []*v1alpha1.Product{testutil.Product("product-7")} }}},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(func(w *discover.World) {
				for _, c := range test.change {
					c(w)
				}
			})
			got, err := w.Decide()
			if err != nil || test.wantErr {
				if (err != nil) != test.wantErr {
					t.Fatalf("error %v, want one: %v", err, test.wantErr)
				}
				return
			}
			var products []product
			for _, item := range got.Set.Items {
				p := item.Object.(*v1alpha1.Product)
				products = append(products, product{p.Name, p.Spec.Name, p.Spec.MetaDataPath, p.Spec.Branch})
				if kind := p.GetObjectKind().GroupVersionKind(); kind != discover.ProductKind {
					t.Errorf("kind %s", kind)
				}
				if p.Labels[v1alpha1.LabelFrom] != "products" || p.Labels[v1alpha1.LabelOwnerKind] != "ProductProvider" || p.Labels[v1alpha1.LabelTenant] != "t" {
					t.Errorf("labels %v", p.Labels)
				}
				if item.Source != (plan.Ref{Kind: "ProductProvider", Namespace: "nautes", Name: "products"}) || item.ID.Namespace != "nautes" || item.ID.Kind != "Product" {
					t.Errorf("item %v by %v", item.ID, item.Source)
				}
			}
			var kept []string
			for _, id := range got.Set.Keep {
				kept = append(kept, id.Name)
			}
			var departures []v1alpha1.ProductDeparture
			if test.departure != nil {
				test.departure.Product = "product-7"
				departures = append(departures, *test.departure)
			}
			if diff := cmp.Diff([]any{test.want, test.wantKept, departures}, []any{products, kept, got.Departures}, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("products, kept, departures (-want +got):\n%s", diff)
			}
		})
	}
}

// at returns a time as a status holds it.
func at(ago time.Duration) metav1.Time { return metav1.NewTime(now.Truncate(time.Second).Add(-ago)) }

// The products of many groups are in order, whatever the order of the list.
func TestDecideInOrder(t *testing.T) {
	w := world(func(w *discover.World) {
		w.Listed = []discover.Found{{Group: 12, Path: "b"}, {Group: 3, Path: "a"}, {Group: 7, Path: "c"}}
		w.Groups = map[int64]discover.Group{12: {Path: "b"}, 3: {Path: "a"}}
		w.Products = []*v1alpha1.Product{ours("product-14", "d"), ours("product-7", "c"), ours("product-4", "e")}
		w.Groups[14], w.Groups[4] = discover.Group{Path: "d"}, discover.Group{Missing: true}
	})
	got, err := w.Decide()
	if err != nil {
		t.Fatal(err)
	}
	var names, left []string
	for _, item := range got.Set.Items {
		names = append(names, item.ID.Name)
	}
	for _, d := range got.Departures {
		left = append(left, d.Product+" "+d.Reason)
	}
	if diff := cmp.Diff([][]string{{"product-12", "product-3", "product-7"}, {"product-14 RepositoryMissing", "product-4 GroupMissing"}}, [][]string{names, left}); diff != "" {
		t.Errorf("products and departures (-want +got):\n%s", diff)
	}
}
