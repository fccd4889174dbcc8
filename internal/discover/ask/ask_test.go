package ask_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/discover"
	"nautes.io/nautes/internal/discover/ask"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/test/testutil"
)

// forge answers the questions of a test.
type forge struct {
	client.Client
	caller     client.Caller
	maintained *bool
	errs       map[string]error
}

func (f forge) WhoAmI(context.Context) (client.Caller, error) { return f.caller, f.errs["who"] }

func (f forge) RepositoriesNamed(_ context.Context, name string, maintained bool) ([]client.Repository, error) {
	if name != "default.project" || maintained != *f.maintained {
		return nil, errors.New("another question")
	}
	return []client.Repository{
		{ID: 70, GroupID: 7, Path: "labs/team/default.project", DefaultBranch: "trunk"},
		{ID: 80, GroupID: 8, Path: "gone/default.project", Leaving: true},
	}, f.errs["list"]
}

func (f forge) GroupByID(_ context.Context, id int64) (client.Group, error) {
	if id == 9 {
		return client.Group{}, &client.Error{Class: client.ErrNotFound}
	}
	return client.Group{ID: id, Path: "labs/team", Leaving: id == 8}, f.errs["group"]
}

func TestForge(t *testing.T) {
	broken, ends := errors.New("broken"), time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	world := func() *discover.World {
		return &discover.World{Provider: testutil.ProductProvider("products", "gitlab"), Products: []*v1alpha1.Product{
			{ObjectMeta: metav1.ObjectMeta{Name: "product-9", Labels: discover.Owner("products").Labels("t")}},
		}}
	}
	for _, administrator := range []bool{true, false} {
		w, maintained := world(), !administrator
		f := forge{caller: client.Caller{Username: "bot", Administrator: administrator, TokenExpiresAt: ends}, maintained: &maintained}
		if err := ask.Forge(t.Context(), f, w); err != nil {
			t.Fatal(err)
		}
		want := world()
		want.Account, want.SeesAll, want.TokenEnds = "bot", administrator, ends
		want.Listed = []discover.Found{{Group: 7, Path: "labs/team", Branch: "trunk"}, {Group: 8, Path: "gone", Leaving: true}}
		want.Groups = map[int64]discover.Group{7: {Path: "labs/team"}, 8: {Path: "labs/team", Leaving: true}, 9: {Missing: true}}
		if diff := cmp.Diff(want, w); diff != "" {
			t.Errorf("administrator %v (-want +got):\n%s", administrator, diff)
		}
		for question := range map[string]bool{"who": true, "list": true, "group": true} {
			f.errs = map[string]error{question: broken}
			if err := ask.Forge(t.Context(), f, world()); !errors.Is(err, broken) {
				t.Errorf("error of %s: %v", question, err)
			}
		}
	}
}
