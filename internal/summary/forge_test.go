package summary

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

func TestForgeProblem(t *testing.T) {
	for name, test := range map[string]struct {
		err       error
		wantClass engine.Class
		want      string
		wantRetry time.Duration
	}{
		"unauthorized":     {err: client.ErrUnauthorized, wantClass: engine.ClassTerminal, want: "store a token with the scope api"},
		"forbidden":        {err: client.ErrForbidden, wantClass: engine.ClassTerminal, want: "give the owner of the token the right"},
		"unavailable":      {err: client.ErrUnavailable, wantClass: engine.ClassWaiting, want: "it is tried again", wantRetry: 10 * time.Second},
		"asked to wait":    {err: &client.Error{Class: client.ErrUnavailable, RetryAfter: time.Minute}, wantClass: engine.ClassWaiting, wantRetry: time.Minute},
		"asked to hurry":   {err: &client.Error{Class: client.ErrUnavailable, RetryAfter: time.Second}, wantClass: engine.ClassWaiting, wantRetry: 10 * time.Second},
		"refused":          {err: client.ErrInvalid, wantClass: engine.ClassWaiting, wantRetry: 10 * time.Second},
		"of unknown cause": {err: errors.New("cut"), wantClass: engine.ClassWaiting, wantRetry: 10 * time.Second},
	} {
		got := engine.Classify(ForgeProblem("gitlab", test.err), nil)
		if got.Class != test.wantClass || got.RetryAfter != test.wantRetry || !strings.Contains(got.Message, test.want) || !strings.HasPrefix(got.Message, "CodeRepoProvider gitlab: ") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSetGroupPresent(t *testing.T) {
	from := func(provider string) *v1alpha1.Product {
		return testutil.Product("product-7", func(p *v1alpha1.Product) { p.Labels = map[string]string{v1alpha1.LabelFrom: provider} })
	}
	provider := testutil.ProductProvider("products", "gitlab")
	provider.Status.Departures = []v1alpha1.ProductDeparture{
		{Product: "product-6", Reason: "GroupMissing", Message: "another"}, {Product: "product-8", Reason: "GroupMissing", Message: "another"},
	}
	leaving := provider.DeepCopy()
	leaving.Status.Departures[1] = v1alpha1.ProductDeparture{Product: "product-7", Reason: "MarkedForDeletion", Message: "it goes"}
	for name, test := range map[string]struct {
		product  *v1alpha1.Product
		provider *v1alpha1.ProductProvider
		want     []metav1.Condition
	}{
		"present": {product: from("products"), provider: provider, want: []metav1.Condition{
			{Type: "GroupPresent", Status: "True", Reason: "Present", Message: "group team-7 of ProductProvider products"},
		}},
		"departing": {product: from("products"), provider: leaving, want: []metav1.Condition{
			{Type: "GroupPresent", Status: "False", Reason: "MarkedForDeletion", Message: "it goes"},
		}},
		"of another provider": {product: from("others"), provider: leaving},
		"of no provider":      {product: testutil.Product("product-7"), provider: leaving},
	} {
		facts := &engine.Facts{}
		SetGroupPresent(facts, snapshot.New("t", "nautes", test.provider), test.product)
		if diff := cmp.Diff(test.want, facts.Conditions(), cmp.Transformer("empty", func(c []metav1.Condition) []metav1.Condition { return append([]metav1.Condition{}, c...) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTokenWarning(t *testing.T) {
	now := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		ends time.Time
		want string
	}{
		"no end":           {},
		"in a year":        {ends: now.Add(365 * day)},
		"in over 30 days":  {ends: now.Add(30*day + 1)},
		"in 30 days":       {ends: now.Add(30 * day), want: "the access token of CodeRepoProvider gitlab ends on 2024-02-01: store a new one at tenant/git/gitlab/root before"},
		"tomorrow":         {ends: now.Add(day).In(time.FixedZone("east", 14*3600)), want: "the access token of CodeRepoProvider gitlab ends on 2024-01-03: store a new one at tenant/git/gitlab/root before"},
		"ended a year ago": {ends: now.Add(-365 * day), want: "the access token of CodeRepoProvider gitlab ends on 2023-01-02: store a new one at tenant/git/gitlab/root before"},
	} {
		if got := TokenWarning("gitlab", test.ends, now); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
