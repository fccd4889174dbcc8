package apply_test

import (
	"errors"
	"testing"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// While the secret store does not answer, items without secrets are written, and
// existing Secrets stay as they are. New Secrets wait, and nothing in the set is
// removed.
func TestStoreThatIsAway(t *testing.T) {
	for name, trouble := range map[string]error{"unavailable": secrets.ErrUnavailable, "denied": secrets.ErrDenied} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "away-"+name)
			ns := w.namespace()
			w.store.set(deployKey, "deploykey", "k")
			value := plan.SecretValue{Key: "key", Ref: deployKey, Field: "deploykey"}
			old, late, plain := w.secret(ns, "old", value), w.secret(ns, "late", value), w.account(ns, "plain")
			a := w.applier()
			w.must(a, old)
			w.settle(old)
			before := w.versions([]plan.Item{old})

			w.store.away = trouble
			// A new process remembers no write.
			for _, process := range []*apply.Applier{a, w.applier()} {
				r, err := w.apply(process, apply.Options{Isolate: true}, old, late, plain)
				if err != nil || len(r.Failed) != 2 || len(r.Deleted) != 0 {
					t.Fatalf("result %+v, error %v: want two failures of single items", r, err)
				}
				for _, failed := range r.Failed {
					if failed.Kept != (failed.ID == old.ID) || !errors.Is(&failed, trouble) {
						t.Errorf("%s: kept %v, error %v", failed.ID, failed.Kept, failed.Err)
					}
				}
			}
			if w.live(plain.ID) == nil || w.live(late.ID) != nil {
				t.Error("what needs no secret is not there, or what needs one is")
			}
			if after := w.versions([]plan.Item{old}); after[old.ID.String()] != before[old.ID.String()] {
				t.Errorf("the Secret was changed: %v, before %v", after, before)
			}
			if _, err := w.apply(a, apply.Options{}, old, plain); !errors.Is(err, trouble) {
				t.Errorf("without isolation the error is %v", err)
			}
			w.store.away = nil
			if r := w.must(a, old, late, plain); r.Written != 1 {
				t.Errorf("when it is back: %+v, want one write", r)
			}
		})
	}
}
