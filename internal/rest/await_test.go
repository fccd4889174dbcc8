package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kube "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/rest/body"
)

func TestPreferences(t *testing.T) {
	for header, want := range map[string]preference{
		"":                                {0, reachedMirrored},
		"wait=10":                         {10 * time.Second, reachedMirrored},
		"respond-async, WAIT = 5":         {5 * time.Second, reachedMirrored},
		`wait="7"; x=y, until=ready`:      {7 * time.Second, reachedReady},
		"wait=9999":                       {maxWait, reachedMirrored},
		"wait=-1, until=never":            {0, reachedMirrored},
		"wait=99999999999999999999999999": {0, reachedMirrored},
		"wait=1, wait=2":                  {time.Second, reachedMirrored},
	} {
		if got := prefer([]string{header}); got != want {
			t.Errorf("%q: %+v, want %+v", header, got, want)
		}
	}
}

// cluster is a tenant cluster without an operator.
func (r *rig) cluster(objects ...kube.Object) kube.Client {
	r.t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		r.t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	r.server.options.Reader = c
	return c
}

func mirroredEnvironment(ready, stalled string) *v1alpha1.Environment {
	e := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "dev", Namespace: "product-42", Generation: 2}}
	e.Spec = v1alpha1.EnvironmentSpec{Product: "product-42", Cluster: "alpha", EnvType: "dev"}
	e.Status.ObservedGeneration = 2
	for kind, status := range map[string]string{v1alpha1.ConditionReady: ready, v1alpha1.ConditionStalled: stalled} {
		if status != "" {
			e.Status.Conditions = append(e.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionStatus(status), Reason: "R"})
		}
	}
	return e
}

// syncedProduct is a product whose repository is mirrored at a revision.
func syncedProduct(revision string) *v1alpha1.Product {
	p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Name: "product-42", Namespace: "nautes"}}
	p.Status.Sync = &v1alpha1.SyncStatus{Revision: revision}
	return p
}

func TestAwait(t *testing.T) {
	commit := strings.Repeat("c", 40)
	older := mirroredEnvironment("True", "")
	older.Spec.Cluster = "beta"
	unobserved := mirroredEnvironment("True", "")
	unobserved.Status.ObservedGeneration = 1
	for name, tt := range map[string]struct {
		objects []kube.Object
		prefer  string
		method  string
		// later comes while the reply waits.
		later                    kube.Object
		wantReached, wantApplied string
	}{
		"no preference":         {objects: []kube.Object{syncedProduct(commit), mirroredEnvironment("True", "")}},
		"mirrored":              {objects: []kube.Object{syncedProduct(commit)}, prefer: "wait=1", wantReached: "mirrored", wantApplied: "wait=1, until=mirrored"},
		"ready at once":         {objects: []kube.Object{syncedProduct(commit), mirroredEnvironment("True", "")}, prefer: "wait=1", wantReached: "ready", wantApplied: "wait=1, until=mirrored"},
		"too late":              {objects: []kube.Object{syncedProduct("0")}, prefer: "wait=1", wantReached: "committed", wantApplied: "wait=1, until=mirrored"},
		"no product":            {prefer: "wait=1", wantReached: "committed", wantApplied: "wait=1, until=mirrored"},
		"of the spec before":    {objects: []kube.Object{syncedProduct(commit), older}, prefer: "wait=1, until=ready", wantReached: "mirrored", wantApplied: "wait=1, until=ready"},
		"not observed":          {objects: []kube.Object{syncedProduct(commit), unobserved}, prefer: "wait=1, until=ready", wantReached: "mirrored", wantApplied: "wait=1, until=ready"},
		"stalled":               {objects: []kube.Object{syncedProduct(commit), mirroredEnvironment("False", "True")}, prefer: "wait=30, until=ready", wantReached: "stalled", wantApplied: "wait=30, until=ready"},
		"ready later":           {objects: []kube.Object{syncedProduct(commit)}, later: mirroredEnvironment("True", ""), prefer: "wait=30, until=ready", wantReached: "ready", wantApplied: "wait=30, until=ready"},
		"deleted":               {objects: []kube.Object{syncedProduct(commit)}, method: "DELETE", prefer: "wait=30, until=ready", wantReached: "ready", wantApplied: "wait=30, until=ready"},
		"not deleted":           {objects: []kube.Object{syncedProduct(commit), mirroredEnvironment("True", "")}, method: "DELETE", prefer: "wait=1, until=ready", wantReached: "mirrored", wantApplied: "wait=1, until=ready"},
		"the server shuts down": {objects: []kube.Object{syncedProduct("0")}, prefer: "wait=44", wantReached: "committed", wantApplied: "wait=44, until=mirrored"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c := r.cluster(tt.objects...)
			body := environment
			if tt.method == "" {
				tt.method = "POST"
			} else {
				body = ""
				r.editor.result = &edit.Result{Commit: commit, Changed: true, Path: "envs/dev.yaml"}
			}
			if tt.later != nil {
				time.AfterFunc(2*lookAgain, func() { _ = c.Create(t.Context(), tt.later) })
			}
			if strings.HasSuffix(name, "down") {
				time.AfterFunc(lookAgain, r.server.End)
			}
			var headers []string
			if tt.prefer != "" {
				headers = []string{"Prefer", tt.prefer}
			}
			w := r.request("maintainer", tt.method, "/api/v1/products/labs/environments/dev", body, headers...)
			got := decoded[saved](t, w)
			if w.Code != http.StatusOK || got.Reached != tt.wantReached || w.Header().Get("Preference-Applied") != tt.wantApplied {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if (got.Status != nil) != (tt.prefer != "") {
				t.Errorf("status %+v", got.Status)
			}
		})
	}
}

// storedProduct is a Product with a condition Ready, if that is set, and Stalled.
func storedProduct(id int, ready, stalled metav1.ConditionStatus) *v1alpha1.Product {
	p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Name: productID(int64(id)), Namespace: "nautes", Generation: 1}}
	for kind, status := range map[string]metav1.ConditionStatus{v1alpha1.ConditionReady: ready, v1alpha1.ConditionStalled: stalled} {
		if status != "" {
			p.Status.ObservedGeneration = 1
			p.Status.Conditions = append(p.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: "Because", Message: "it is so"})
		}
	}
	return p
}

// The reply about a product waits for its Product, and has its state.
func TestAwaitProduct(t *testing.T) {
	for name, tt := range map[string]struct {
		objects        []kube.Object
		later          kube.Object
		method, prefer string
		wantReached    string
		// wantReady is the condition Ready of the reply.
		wantReady string
	}{
		"no preference": {objects: []kube.Object{storedProduct(43, "True", "")}},
		"not found":     {prefer: "wait=1", wantReached: "committed"},
		"of another":    {objects: []kube.Object{storedProduct(44, "True", "")}, prefer: "wait=1", wantReached: "committed"},
		"new":           {objects: []kube.Object{storedProduct(43, "", "")}, prefer: "wait=30", wantReached: "mirrored"},
		"not ready":     {objects: []kube.Object{storedProduct(43, "False", "")}, prefer: "wait=1, until=ready", wantReached: "mirrored", wantReady: "False"},
		"stalled":       {objects: []kube.Object{storedProduct(43, "False", "True")}, prefer: "wait=30, until=ready", wantReached: "stalled", wantReady: "False"},
		"ready later":   {later: storedProduct(43, "True", ""), prefer: "wait=30, until=ready", wantReached: "ready", wantReady: "True"},
		"deleted":       {method: "DELETE", prefer: "wait=30, until=ready", wantReached: "ready"},
		"still there":   {objects: []kube.Object{storedProduct(45, "True", "")}, method: "DELETE", prefer: "wait=1", wantReached: "committed", wantReady: "True"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c := r.cluster(tt.objects...)
			if tt.later != nil {
				time.AfterFunc(2*lookAgain, func() { _ = c.Create(t.Context(), tt.later) })
			}
			role, path, sent := "creator", "new", productBody
			if tt.method == "DELETE" {
				role, path, sent = "owner", "bare", ""
			} else {
				tt.method = "POST"
			}
			got := decoded[saved](t, r.request(role, tt.method, "/api/v1/products/"+path, sent, "Prefer", tt.prefer))
			if got.Reached != tt.wantReached || readyIn(got.Status) != tt.wantReady {
				t.Errorf("reached %q, status %+v", got.Reached, got.Status)
			}
		})
	}
}

func readyIn(status *body.Status) string {
	if status != nil {
		for _, c := range status.Conditions {
			if c.Type == v1alpha1.ConditionReady {
				return c.Status
			}
		}
	}
	return ""
}

// A product has the state of its Product.
func TestProductStatus(t *testing.T) {
	r := newRig(t)
	p := storedProduct(42, "True", "")
	p.Status.Sync = &v1alpha1.SyncStatus{Revision: "abc"}
	r.cluster(p)
	got := decoded[body.Product](t, r.request("reporter", "GET", "/api/v1/products/labs", ""))
	if readyIn(got.Status) != "True" || !got.Status.Current || got.Status.Revision != "abc" {
		t.Errorf("status %+v", got.Status)
	}
}

// TestPages holds the web pages in the status of replies.
func TestPages(t *testing.T) {
	const commit = "abc"
	r := newRig(t)
	runtime := &v1alpha1.DeploymentRuntime{}
	runtime.Status.Target = &v1alpha1.RuntimeTarget{Cluster: "v"}
	runtime.Status.Application = &v1alpha1.ApplicationStatus{Namespace: "argocd", Name: "product-42-dr"}
	cluster := func(name, host, argocd string, points map[string]v1alpha1.EntryPoint) *v1alpha1.Cluster {
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "nautes"}}
		c.Spec.HostCluster, c.Spec.ArgoCDHost, c.Status.EntryPoints = host, argocd, points
		return c
	}
	r.cluster(cluster("v", "h", "argocd.v.example.com", nil), cluster("h", "", "", map[string]v1alpha1.EntryPoint{"traefik": {HTTPSPort: 30443}}))
	platform, _ := r.server.options.Platform(t.Context())
	read := &reader{s: r.server, ctx: t.Context(), place: &place{platform: platform}}
	read.place.forge.WebURL = "https://git.example.com/labs/default.project"
	application, err := read.application(runtime)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{read.place.page(commit, ""), read.place.page(commit, "envs/a b.yaml"), read.place.page("", "x"), application}
	want := []string{
		"https://git.example.com/labs/default.project/-/commit/abc", "https://git.example.com/labs/default.project/-/blob/abc/envs/a%20b.yaml", "",
		"https://argocd.v.example.com:30443/applications/argocd/product-42-dr",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	runtime.Status.Application = nil
	if page, err := read.application(runtime); page != "" || err != nil {
		t.Errorf("without an Application: %q, %v", page, err)
	}
}
