package edit

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/pmezard/go-difflib/difflib"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// try returns the change that a request would make.
func (e *Editor) try(ctx context.Context, q Request) (Result, error) {
	v, err := e.View(ctx, q.Repository, 0)
	if err != nil {
		return Result{}, err
	}
	verdict, err := e.judge(ctx, v, q)
	if err != nil {
		return Result{}, err
	}
	result := verdict.result(v.revision)
	for _, file := range slices.Sorted(maps.Keys(verdict.files)) {
		before, err := e.content(ctx, q.Repository, v, file)
		if err != nil {
			return Result{}, err
		}
		text, err := Diff(file, before, verdict.files[file])
		if err != nil {
			return Result{}, err
		}
		result.Diff += text
	}
	if verdict.after != nil {
		result.Plan = planned(q.Repository.Scope, verdict.before, verdict.after)
	}
	return result, nil
}

// contextLines is the number of equal lines around a change in a diff.
const contextLines = 3

// Diff returns the difference of a file in the unified format. Nil is no file.
func Diff(file string, before, after []byte) (string, error) {
	name := func(prefix string, content []byte) string {
		if content == nil {
			return "/dev/null"
		}
		return prefix + file
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(string(before)), FromFile: name("a/", before),
		B: difflib.SplitLines(string(after)), ToFile: name("b/", after), Context: contextLines,
	})
}

// planKey identifies a set.
type planKey struct {
	owner  plan.Owner
	target plan.Target
}

// plans are the sets of a declared state.
type plans struct {
	sets map[planKey]plan.Set
	// unknown owners have a plan that cannot be described.
	unknown map[plan.Owner]bool
}

// planned returns the difference between the plans of two states: of the runtimes and
// spaces of a product, or of the clusters of the tenant.
func planned(scope layout.Scope, before, after *snapshot.Snapshot) []PlannedSet {
	clusters := slices.Concat(spaceClusters(scope, before), spaceClusters(scope, after))
	was, is := plansOf(scope, before, clusters), plansOf(scope, after, clusters)
	keys := map[planKey]bool{}
	for _, p := range []plans{was, is} {
		for key := range p.sets {
			keys[key] = true
		}
	}
	var list []PlannedSet
	for key := range keys {
		if was.unknown[key.owner] || is.unknown[key.owner] {
			continue
		}
		if set := setDiff(key, was.sets[key], is.sets[key]); len(set.Made)+len(set.Changed)+len(set.Pruned) > 0 {
			list = append(list, set)
		}
	}
	slices.SortFunc(list, func(a, b PlannedSet) int {
		return cmp.Or(cmp.Compare(a.Target.String(), b.Target.String()), cmp.Compare(a.Owner.String(), b.Owner.String()))
	})
	return list
}

// spaceClusters returns the clusters on which a product has runtimes.
func spaceClusters(scope layout.Scope, s *snapshot.Snapshot) []string {
	var clusters []string
	if !scope.Tenant {
		for _, r := range s.Runtimes(scope.Namespace) {
			if target, ok := s.EffectiveTarget(r); ok {
				clusters = append(clusters, target.Cluster)
			}
		}
	}
	return clusters
}

func plansOf(scope layout.Scope, s *snapshot.Snapshot, clusters []string) plans {
	p := plans{sets: map[planKey]plan.Set{}, unknown: map[plan.Owner]bool{}}
	if scope.Tenant {
		for _, c := range s.Clusters() {
			result, err := build.Cluster(s, c)
			p.add(build.ClusterOwner(c), result.Plan, err)
		}
		return p
	}
	product := scope.Namespace
	if declared := s.Product(product); declared != nil {
		result, err := build.Product(s, declared)
		p.add(build.ProductOwner(product), result.Plan, err)
	}
	for _, cluster := range slices.Compact(slices.Sorted(slices.Values(clusters))) {
		result, err := build.Space(s, product, cluster)
		p.add(build.SpaceOwner(product), result.Plan, err)
	}
	for _, r := range s.Runtimes(product) {
		switch r := r.(type) {
		case *v1alpha1.DeploymentRuntime:
			result, err := build.DeploymentRuntime(s, r)
			p.add(build.RuntimeOwner(r), result.Plan, err)
		case *v1alpha1.ProjectPipelineRuntime:
			result, err := build.PipelineRuntime(s, r)
			p.add(build.PipelineOwner(r), result.Plan, err)
		}
	}
	return p
}

func (p plans) add(owner plan.Owner, built plan.Plan, err error) {
	if err != nil {
		p.unknown[owner] = true
	}
	for _, set := range built.Sets {
		p.sets[planKey{set.Owner, set.Target}] = set
	}
}

// setDiff compares two sets of one owner on one target.
func setDiff(key planKey, before, after plan.Set) PlannedSet {
	set := PlannedSet{Owner: key.owner, Target: key.target}
	items := map[plan.ID]plan.Item{}
	for _, item := range before.Items {
		items[item.ID] = item
		if !after.Holds(item.ID) {
			set.Pruned = append(set.Pruned, item.ID)
		}
	}
	for _, item := range after.Items {
		was, known := items[item.ID]
		switch {
		case !known && !before.Holds(item.ID):
			set.Made = append(set.Made, item.ID)
		case known && !(reflect.DeepEqual(was.Object, item.Object) && reflect.DeepEqual(was.Body, item.Body) && reflect.DeepEqual(was.Secrets, item.Secrets)):
			set.Changed = append(set.Changed, item.ID)
		}
	}
	for _, list := range [][]plan.ID{set.Made, set.Changed, set.Pruned} {
		slices.SortFunc(list, plan.ID.Compare)
	}
	return set
}
