// Package discover computes which Products a ProductProvider has: one for each group of
// the forge with a repository default.project. It guarantees that a list never ends a
// Product: only the answer that there is no such group does, after a grace period.
package discover

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/giturl"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Repository is the name of the repository that makes a group a product.
const Repository = "default.project"

// Found is a default.project that the forge lists.
type Found struct {
	// Group is the number of the group that the repository is in, and Path its full path.
	Group int64
	Path  string
	// Branch is the default branch, empty for an empty repository.
	Branch string
	// Leaving reports whether the repository is marked for deletion.
	Leaving bool
}

// Group is the answer about one group, asked for by its number.
type Group struct {
	// Missing reports whether the forge has no such group for the account.
	Missing bool
	// Path is the full path now.
	Path string
	// Leaving reports whether the group is marked for deletion.
	Leaving bool
}

// World is everything that a decision depends on.
type World struct {
	Tenant, Namespace string
	Provider          *v1alpha1.ProductProvider
	CodeRepoProvider  *v1alpha1.CodeRepoProvider
	// Products are all Products of the tenant.
	Products []*v1alpha1.Product
	// Account is the user name of the owner of the provider's access token. SeesAll
	// reports whether a group that it does not see does not exist.
	Account string
	SeesAll bool
	// TokenEnds is the time at which the access token ends, or zero.
	TokenEnds time.Time
	// Listed are the repositories in the answer of the forge.
	Listed []Found
	// Groups has the answers about the groups of Ask.
	Groups map[int64]Group
	Now    time.Time
}

// Found describes the answer of the forge, for people.
func (w World) Found() string {
	return fmt.Sprintf("%d groups of the account %s have a %s", len(w.Listed), w.Account, Repository)
}

// Result is the decision.
type Result struct {
	// Set holds the Products of the provider.
	Set plan.Set
	// Departures are the Products that the forge does not show as it should, by name.
	Departures []v1alpha1.ProductDeparture
}

// Owner returns the owner of the Products of a provider.
func Owner(provider string) plan.Owner {
	return plan.Owner{Kind: OwnerKind, Name: provider}
}

// OwnerKind is the kind of the owner of found Products.
const OwnerKind = "ProductProvider"

// ProductKind is the kind of the objects of a set.
var ProductKind = v1alpha1.GroupVersion.WithKind("Product")

// known returns the Products of the provider by the number of their group, and the
// numbers of groups whose Products others declare.
func (w World) known() (ours map[int64]*v1alpha1.Product, foreign map[int64]bool) {
	ours, foreign = map[int64]*v1alpha1.Product{}, map[int64]bool{}
	for _, p := range w.Products {
		if n := names.Group(p.Name); w.owns(p) {
			ours[n] = p
		} else {
			foreign[n] = true
		}
	}
	delete(ours, 0)
	return ours, foreign
}

func (w World) owns(p *v1alpha1.Product) bool {
	return p.Labels[v1alpha1.LabelOwnerKind] == OwnerKind && p.Labels[v1alpha1.LabelOwnerName] == w.Provider.Name
}

// Ask returns the numbers of the groups that must be asked for by number, in order: new
// ones, and the ones of Products that the list does not show as they are.
func (w World) Ask() []int64 {
	ours, foreign := w.known()
	ask := map[int64]bool{}
	for n := range ours {
		ask[n] = true
	}
	for _, f := range w.Listed {
		if p := ours[f.Group]; foreign[f.Group] || p != nil && p.Spec.Name == f.Path && !f.Leaving && p.DeletionTimestamp.IsZero() {
			delete(ask, f.Group)
		} else if p == nil {
			ask[f.Group] = true
		}
	}
	delete(ask, 0)
	return slices.Sorted(maps.Keys(ask))
}

// Decide returns the Products of the provider. It fails if an address of the
// CodeRepoProvider is no URL.
func (w World) Decide() (Result, error) {
	ours, foreign := w.known()
	d := &decision{World: w, set: plan.Set{Owner: Owner(w.Provider.Name), Target: plan.Tenant}}
	listed := map[int64]Found{}
	for _, f := range w.Listed {
		listed[f.Group] = f
	}
	for _, n := range slices.Sorted(maps.Keys(listed)) {
		if f := listed[n]; ours[n] == nil && !foreign[n] && !f.Leaving && w.Provider.DeletionTimestamp.IsZero() {
			if g, asked := w.Groups[n]; asked && !g.Missing && !g.Leaving {
				f.Path = g.Path
				d.add(f, nil)
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(ours)) {
		f, present := listed[n]
		d.decide(n, ours[n], f, present)
	}
	for _, p := range w.Products {
		if w.owns(p) && names.Group(p.Name) == 0 {
			// A person gave it our labels.
			d.keep(p)
		}
	}
	d.set.Sort()
	slices.SortFunc(d.departures, func(a, b v1alpha1.ProductDeparture) int { return cmp.Compare(a.Product, b.Product) })
	return Result{Set: d.set, Departures: d.departures}, d.err
}

type decision struct {
	World
	set        plan.Set
	departures []v1alpha1.ProductDeparture
	err        error
}

// decide decides about a Product of the provider.
func (d *decision) decide(n int64, p *v1alpha1.Product, f Found, listed bool) {
	g, asked := d.Groups[n]
	switch {
	case !asked && listed:
		d.add(f, p)
	case !asked:
		// Nothing is known about it.
		d.keep(p)
	case g.Missing:
		d.missing(n, p)
	case g.Leaving || f.Leaving:
		d.keep(p)
		what := "group " + p.Spec.Name
		if !g.Leaving {
			what = "the repository " + Repository + " of group " + p.Spec.Name
		}
		d.depart(p, v1alpha1.ReasonMarkedForDeletion, fmt.Sprintf(
			"the forge will delete %s: restore it there to keep the product, which is removed %s after the group", what, d.grace()))
	case !listed:
		d.keep(p)
		d.depart(p, v1alpha1.ReasonRepositoryMissing, fmt.Sprintf(
			"group %s has no %s that the account %s maintains: create the repository again, or delete the Product", g.Path, Repository, d.Account))
	default:
		f.Path = g.Path
		d.add(f, p)
	}
}

// missing decides about a Product whose group the forge does not have. An account that
// sees no group at all may have lost its rights, so it ends nothing.
func (d *decision) missing(n int64, p *v1alpha1.Product) {
	if !d.SeesAll && len(d.Listed) == 0 {
		d.keep(p)
		d.depart(p, v1alpha1.ReasonGroupMissing, fmt.Sprintf(
			"the forge shows no group at all to the account %s: give it the role Maintainer in group %s, or delete the Product if the group is gone", d.Account, p.Spec.Name))
		return
	}
	end := d.since(p, v1alpha1.ReasonGroupMissing).Add(d.grace())
	if !end.After(d.Now) {
		return
	}
	d.keep(p)
	d.depart(p, v1alpha1.ReasonGroupMissing, fmt.Sprintf(
		"the forge shows no group %d to the account %s: the product is removed at %s, with everything that it deployed",
		n, d.Account, end.UTC().Format(time.RFC3339)))
}

func (d *decision) grace() time.Duration {
	seconds := int32(defaultGrace / time.Second)
	if set := d.Provider.Spec.GracePeriodSeconds; set != nil {
		seconds = *set
	}
	return time.Duration(seconds) * time.Second
}

// defaultGrace is the default of the API for objects that the server has not defaulted.
const defaultGrace = time.Hour

// since returns the time of the first answer of a kind about a Product.
func (d *decision) since(p *v1alpha1.Product, reason string) metav1.Time {
	for _, before := range d.Provider.Status.Departures {
		if before.Product == p.Name && before.Reason == reason {
			return before.Since
		}
	}
	// A status holds whole seconds.
	return metav1.NewTime(d.Now.Truncate(time.Second))
}

func (d *decision) depart(p *v1alpha1.Product, reason, message string) {
	d.departures = append(d.departures, v1alpha1.ProductDeparture{Product: p.Name, Reason: reason, Since: d.since(p, reason), Message: message})
}

func (d *decision) keep(p *v1alpha1.Product) {
	d.set.Keep = append(d.set.Keep, plan.ID{Group: ProductKind.Group, Kind: ProductKind.Kind, Namespace: d.Namespace, Name: p.Name})
}

// add adds the Product of a repository. A branch stays as it is while the repository is
// empty.
func (d *decision) add(f Found, before *v1alpha1.Product) {
	url, err := giturl.Join(cmp.Or(d.CodeRepoProvider.Spec.HTTPAddress, d.CodeRepoProvider.Spec.SSHAddress), f.Path+"/"+Repository)
	if err != nil {
		d.err = fmt.Errorf("compute the URLs of repositories at CodeRepoProvider %s: %w", d.CodeRepoProvider.Name, err)
		return
	}
	branch := f.Branch
	if branch == "" && before != nil {
		branch = before.Spec.Branch
	}
	product := &v1alpha1.Product{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: names.Product(f.Group), Labels: map[string]string{v1alpha1.LabelFrom: d.Provider.Name}},
		Spec: v1alpha1.ProductSpec{
			Name:         f.Path,
			MetaDataPath: url,
			Branch:       cmp.Or(branch, "main"),
		},
	}
	maps.Copy(product.Labels, d.set.Owner.Labels(d.Tenant))
	product.SetGroupVersionKind(ProductKind)
	d.set.Items = append(d.set.Items, plan.Item{
		ID: plan.IDOf(ProductKind, product), Stage: plan.StageConfig, Object: product, Source: snapshot.RefOf(d.Provider),
	})
}
