package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// logged is a context whose logger keeps its lines, up to a verbosity.
type logged struct {
	context.Context
	lines []string
}

func newLogged(t *testing.T, verbosity int) *logged {
	l := &logged{}
	logger := funcr.New(func(_, line string) { l.lines = append(l.lines, line) }, funcr.Options{Verbosity: verbosity})
	l.Context = log.IntoContext(t.Context(), logger.WithValues("revision", "1a2b", "author", "Ada <ada@x>"))
	return l
}

// take returns the lines since the last call, without the values that all have.
func (l *logged) take(t *testing.T, common string) []string {
	t.Helper()
	lines := l.lines
	l.lines = nil
	for i, line := range lines {
		if !strings.Contains(line, common) {
			t.Errorf("the line %s lacks %s", line, common)
		}
		lines[i] = strings.Replace(line, common+" ", "", 1)
	}
	return lines
}

func TestLog(t *testing.T) {
	const common = `"revision"="1a2b" "author"="Ada <ada@x>" "target"="Vault" "cluster"="c" "product"="p" "owner"="Space/p"`
	line := func(level int, message string, object plan.ID, rest string) string {
		return strings.TrimSuffix(fmt.Sprintf(`"level"=%d "msg"="%s" "object"="%s" %s`, level, message, object, rest), " ")
	}
	x, a, held := policy("x"), role("p-a", "x"), policy("held")
	x.Source = plan.Ref{Kind: "CodeRepo", Namespace: "p", Name: "repo-1"}
	const source = `"source"="CodeRepo p/repo-1"`
	created := []string{line(0, "object changed", x.ID, source), line(0, "object changed", a.ID, "")}
	unchanged := []string{line(2, "object unchanged", x.ID, source), line(2, "object unchanged", a.ID, "")}
	refused := func(level int) string {
		return line(level, "object refused", held.ID, `"reason"="Policy.vault.nautes.io held exists on Vault c and belongs to Space q; delete it or use another name"`)
	}
	var many []plan.Item
	var manyCreated []string
	for i := range 12 {
		many = append(many, policy(fmt.Sprint("m", i)))
		manyCreated = append(manyCreated, line(0, "object changed", many[i].ID, ""))
	}
	guarded := func(level int) string {
		return fmt.Sprintf(`"level"=%d "msg"="deletions refused" "reason"="12 of the 14 objects of Space p on Vault c would be removed and are kept: `+
			`Policy m0, Policy m1, Policy m10, Policy m11, Policy m2, Policy m3, Policy m4, Policy m5, Policy m6, Policy m7, Policy m8, Policy m9. `+
			`If the removal is intended, set the annotation nautes.io/confirm-prune, or push the change by a commit with the trailer Nautes-Confirm-Prune: true in its message"`, level)
	}
	for _, verbosity := range []int{0, 2} {
		t.Run(fmt.Sprint("verbosity ", verbosity), func(t *testing.T) {
			v, store := mounted(t)
			v.entries[held.ID] = entry{owner: plan.Owner{Kind: "Space", Product: "q", Name: "q"}}
			applier := apply.New(tenant, store, formats())
			for _, step := range []struct {
				name    string
				items   []plan.Item
				trouble error
				want    []string
			}{
				{name: "new", items: []plan.Item{x, a}, want: created},
				{name: "at rest", items: []plan.Item{x, a}, want: unchanged},
				{name: "refused", items: []plan.Item{x, held, a}, want: []string{unchanged[0], refused(0), unchanged[1]}},
				{name: "refused again", items: []plan.Item{x, held, a}, want: []string{unchanged[0], refused(2), unchanged[1]}},
				{name: "the pass fails", items: []plan.Item{x, held, a, policy("y")}, trouble: secrets.ErrUnavailable},
				{name: "refused after that", items: []plan.Item{x, held, a}, want: []string{unchanged[0], refused(2), unchanged[1]}},
				{name: "removed from the set", items: []plan.Item{x, a}, want: unchanged},
				{name: "refused once more", items: []plan.Item{x, held, a}, want: []string{unchanged[0], refused(0), unchanged[1]}},
				{name: "many", items: append(many, x, a), want: append(manyCreated, unchanged...)},
				{name: "guarded", items: []plan.Item{x, a}, want: append(unchanged, guarded(0))},
				{name: "guarded again", items: []plan.Item{x, a}, want: append(unchanged, guarded(2))},
				{name: "fewer", items: append(many, x), want: func() []string {
					lines := []string{line(0, "object deleted", a.ID, "")}
					for _, item := range many {
						lines = append(lines, line(2, "object unchanged", item.ID, ""))
					}
					return append(lines, unchanged[0])
				}()},
			} {
				ctx := newLogged(t, verbosity)
				v.before = func(bool) error { return step.trouble }
				_, err := applier.ApplySystem(ctx, v, systemSet(spaceOwner, step.items...), apply.Options{Isolate: true})
				var guard *apply.GuardError
				if err != nil && !errors.As(err, &guard) && !errors.Is(err, step.trouble) {
					t.Fatalf("%s: %v", step.name, err)
				}
				var want []string
				for _, line := range step.want {
					if verbosity > 0 || strings.HasPrefix(line, `"level"=0`) {
						want = append(want, line)
					}
				}
				if diff := cmp.Diff(want, ctx.take(t, common)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", step.name, diff)
				}
			}
		})
	}
}

func TestLogOnACluster(t *testing.T) {
	w := newWorld(t, "log")
	ns := w.namespace()
	common := fmt.Sprintf(`"revision"="1a2b" "author"="Ada <ada@x>" "target"="Cluster" "cluster"="c" "product"="%[1]s" "owner"="Space/%[1]s"`, w.owner.Product)
	account, project := w.account(ns, "a"), w.project(ns, "p")
	changed := w.account(ns, "a")
	changed.Object.SetAnnotations(map[string]string{"x": "y"})
	w.store.set(deployKey, "deploykey", "hidden")
	key := plan.SecretValue{Key: "a key", Ref: deployKey, Field: "deploykey"}
	const source = ` "source"="Product nautes/p"`
	a := w.applier()
	for _, step := range []struct {
		name  string
		items []plan.Item
		o     apply.Options
		want  []string
	}{
		{name: "new", items: []plan.Item{account, project}, want: []string{
			`"level"=0 "msg"="object created" "object"="` + account.ID.String() + `"` + source,
			`"level"=0 "msg"="object created" "object"="` + project.ID.String() + `"` + source,
		}},
		{name: "at rest", items: []plan.Item{account, project}},
		{name: "changed", items: []plan.Item{changed, project}, want: []string{
			`"level"=0 "msg"="object changed" "object"="` + account.ID.String() + `"` + source,
		}},
		{name: "refused", items: []plan.Item{changed, project, w.secret(ns, "s", key)}, o: apply.Options{Isolate: true}, want: []string{
			fmt.Sprintf(`"level"=0 "msg"="object refused" "object"="Secret %[1]s/s"%[2]s "reason"="Secret %[1]s/s on Cluster c: the API server refuses it (Invalid)"`, ns, source),
		}},
		{name: "deleted", want: []string{
			`"level"=0 "msg"="object deleted" "object"="` + project.ID.String() + `"`,
			`"level"=0 "msg"="object deleted" "object"="` + account.ID.String() + `"`,
		}},
		{name: "nothing left"},
	} {
		ctx := newLogged(t, 0)
		result, err := a.Apply(ctx, w.conn, w.set(step.items...), step.o)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, ctx.take(t, common)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if step.name == "deleted" {
			if diff := cmp.Diff([]plan.ID{project.ID, account.ID}, result.Deleted); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
		} else if len(result.Deleted) != 0 {
			t.Errorf("%s: %v were deleted", step.name, result.Deleted)
		}
		for _, item := range []plan.Item{account, project} {
			if w.live(item.ID) != nil {
				w.settle(item)
			} else {
				w.unseen(item.ID)
			}
		}
	}
}
