package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

func TestPushBecomesApplication(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "101", "alpha")
	s.open(t)
	for _, o := range []v1alpha1.Object{
		&v1alpha1.Environment{ObjectMeta: s.Meta("dev")}, &v1alpha1.Project{ObjectMeta: s.Meta("app")},
		&v1alpha1.CodeRepo{ObjectMeta: s.Meta("repo-1")}, &v1alpha1.CodeRepoBinding{ObjectMeta: s.Meta("app")}, s.Object(),
	} {
		sys.condition(t, o, "Ready", "True", "Ready")
	}
	c := sys.Clusters["alpha"]
	sys.AwaitObjects(t, c,
		scenario.Object("v1", "Namespace", "", s.Name), scenario.Object("v1", "Namespace", "", s.namespace),
		scenario.Object("hnc.x-k8s.io/v1alpha2", "HierarchyConfiguration", s.namespace, "hierarchy"),
		scenario.Object("v1", "ServiceAccount", s.namespace, "dr"), s.appProject())

	app := s.application()
	sys.AwaitObjects(t, c, app)
	source, _, _ := unstructured.NestedMap(app.Object, "spec", "source")
	if source["path"] != "deploy" || source["targetRevision"] != "main" || source["repoURL"] != "https://git.example/group-101/app.git" {
		t.Errorf("the source of the Application is %v", source)
	}

	r := s.runtimeObject()
	sys.condition(t, r, "Ready", "False", v1alpha1.ReasonProgressing)
	s.synced(t, "Synced", "Healthy")
	sys.condition(t, r, "Ready", "True", "Ready")
	if r.Status.Source == nil || r.Status.Source.Permission != v1alpha1.PermissionReadOnly {
		t.Errorf("the runtime's permission is %v, want readonly", r.Status.Source)
	}
	s.synced(t, "Synced", "Degraded")
	sys.condition(t, r, "Ready", "False", v1alpha1.ReasonDegraded)
	sys.condition(t, r, "Healthy", "False", v1alpha1.ReasonDegraded)
	s.synced(t, "OutOfSync", "Healthy")
	sys.condition(t, r, "Synced", "False", v1alpha1.ReasonOutOfSync)
}

// Objects applied with kubectl live beside mirrored ones, and are left alone.
func TestKubectlBesideGit(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "301", "alpha")
	s.declare(t)
	files := s.files()
	delete(files, runtimeFile)
	s.push(t, files)
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
	sys.MustApply(t, strings.Replace(s.runtime(), "name: dr\n", "name: dr\n  namespace: "+s.Name+"\n", 1))
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application())
	// A change of the repository does not touch it.
	s.push(t, map[string]string{projectFile: strings.Replace(s.project(), "go", "rust", 1)})
	sys.Until(t, "the changed project", func() error {
		p := &v1alpha1.Project{ObjectMeta: s.Meta("app")}
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(p), p); err != nil || p.Spec.Language != "rust" {
			return fmt.Errorf("language %q, %v", p.Spec.Language, err)
		}
		return nil
	})
	sys.AwaitObjects(t, sys.Client, scenario.Object("nautes.resource.nautes.io/v1alpha1", "DeploymentRuntime", s.Name, "dr"))
}

func TestBadFilesStopOnlyThemselves(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "302", "alpha")
	s.open(t)
	for name, test := range map[string]struct {
		file, content, want string
		wantLine            int32
	}{
		"unknown key": {envFile, strings.Replace(s.env(), "cluster:", "clutser:", 1), "clutser", 7},
		"not YAML":    {envFile, "kind: [", "", 0},
		"another product's namespace": {
			envFile, strings.Replace(s.env(), "name: dev", "name: dev\n  namespace: product-999", 1), "product-999", 0,
		},
		"refused by the API server": {repoFile, strings.Replace(s.codeRepo(), "url: https", "url: gopher", 1), "url", 0},
		"another kind's folder":     {"envs/repo.yaml", s.codeRepo(), "CodeRepo", 0},
	} {
		t.Run(name, func(t *testing.T) {
			good := strings.Replace(s.project(), "language: go", "language: "+strings.ReplaceAll(name, " ", "-"), 1)
			good = strings.ReplaceAll(good, "'", "")
			s.push(t, map[string]string{test.file: test.content, projectFile: good})
			p := s.Object()
			message := sys.condition(t, p, "Ready", "False", v1alpha1.ReasonFilesRefused)
			if !strings.Contains(message, test.file) || !strings.Contains(message, test.want) {
				t.Errorf("the message names not %q and %q: %s", test.file, test.want, message)
			}
			if p.Status.Sync.ProblemCount != 1 || p.Status.Sync.Problems[0].Path != test.file {
				t.Errorf("problems: %v", p.Status.Sync.Problems)
			}
			if test.wantLine > 0 && p.Status.Sync.Problems[0].Line != test.wantLine {
				t.Errorf("line %d, want %d", p.Status.Sync.Problems[0].Line, test.wantLine)
			}
			sys.Until(t, "the good file of the same push", func() error {
				o := &v1alpha1.Project{ObjectMeta: s.Meta("app")}
				if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(o), o); err != nil || !strings.Contains(good, "language: "+o.Spec.Language+"\n") {
					return fmt.Errorf("language %q: %v", o.Spec.Language, err)
				}
				return nil
			})
			// The object of the bad file keeps its last good state.
			env := &v1alpha1.Environment{ObjectMeta: s.Meta("dev")}
			if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(env), env); err != nil || env.Spec.Cluster != "alpha" || !env.DeletionTimestamp.IsZero() {
				t.Errorf("the environment did not keep its state: %v, %v", env.Spec, err)
			}
			sys.Until(t, "an event that names the file", func() error {
				return sys.event(s.Object(), v1alpha1.ReasonFilesRefused, test.file)
			})
			remove := []string{}
			if test.file == "envs/repo.yaml" {
				remove = []string{test.file}
			}
			s.push(t, s.files(), remove...)
			sys.condition(t, s.Object(), "Ready", "True", "Ready")
		})
	}
}

// event looks for an event about an object whose note has all texts.
func (sys *system) event(o v1alpha1.Object, reason string, texts ...string) error {
	list := &corev1.EventList{}
	err := sys.Client.List(context.Background(), list, client.InNamespace(o.GetNamespace()),
		client.MatchingFields{"involvedObject.name": o.GetName(), "reason": reason})
	if err != nil {
		return err
	}
	for _, e := range list.Items {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(e.Message, text) }) {
			return nil
		}
	}
	return fmt.Errorf("no event %s about %s has %q", reason, o.GetName(), texts)
}

// After a prune the owner's events name the objects and the commit.
func TestPrunesAreAnnounced(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "307", "alpha")
	s.open(t)
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application())
	revision := s.push(t, nil, runtimeFile)
	commit := fmt.Sprintf("(revision %s by Ada Pusher <ada@example.com>)", revision[:12])
	sys.Until(t, "the event about the runtime", func() error {
		return sys.event(s.Object(), v1alpha1.ReasonPruned, fmt.Sprintf(
			"deleted 1 object on Tenant that Product %[1]s no longer asks for %[2]s: DeploymentRuntime.nautes.resource.nautes.io %[1]s/dr", s.Name, commit))
	})
	sys.Until(t, "the event about the Application", func() error {
		return sys.event(s.runtimeObject(), v1alpha1.ReasonPruned,
			fmt.Sprintf("deleted 1 object on Cluster alpha of DeploymentRuntime %s/dr, which is being deleted", s.Name),
			fmt.Sprintf("Application.argoproj.io %s/%s-dr", devstack.ArgoCDNamespace, s.Name))
	})
	s.release(t, "alpha")
	sys.Until(t, "the event about the namespace", func() error {
		return sys.event(s.Object(), v1alpha1.ReasonPruned, "on Cluster alpha", "Namespace "+s.namespace)
	})
}

func TestEmptiedRepositoryIsGuarded(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "303", "alpha")
	s.open(t)
	revision := s.push(t, map[string]string{"README.md": "empty"}, envFile, projectFile, repoFile, bindingFile, runtimeFile)
	p := s.Object()
	message := sys.condition(t, p, "Ready", "False", v1alpha1.ReasonPruneGuarded)
	if !strings.Contains(message, revision) || p.Status.Sync.HeldBack != 5 {
		t.Errorf("held back %d, message: %s", p.Status.Sync.HeldBack, message)
	}
	r := s.runtimeObject()
	if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil || !r.DeletionTimestamp.IsZero() {
		t.Fatalf("the guard let the runtime go: %v", err)
	}
	before := p.DeepCopy()
	p.Annotations = map[string]string{v1alpha1.AnnotationConfirmPrune: revision}
	if err := sys.Client.Patch(t.Context(), p, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "the runtime gone", func() error {
		s.release(t, "alpha")
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil {
			return client.IgnoreNotFound(err)
		}
		return fmt.Errorf("it is still there")
	})
	sys.AwaitGone(t, sys.Client, &v1alpha1.Environment{ObjectMeta: s.Meta("dev")}, &v1alpha1.CodeRepo{ObjectMeta: s.Meta("repo-1")},
		&v1alpha1.CodeRepoBinding{ObjectMeta: s.Meta("app")}, &v1alpha1.Project{ObjectMeta: s.Meta("app")})
	sys.awaitEmpty(t, "alpha", s.Name)
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
}

func TestRewrittenHistoryIsFollowed(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "304", "alpha")
	s.open(t)
	before := sys.condition(t, s.Object(), "Synced", "True", "")
	files := s.files()
	files[projectFile] = strings.Replace(s.project(), "language: go", "language: zig", 1)
	revision := sys.Push(t, s.Repository(), githost.Commit{Files: files, Orphan: true, Force: true, Message: "start anew"})
	p := s.Object()
	sys.Until(t, "the new history", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if p.Status.Sync == nil || p.Status.Sync.Revision != revision {
			return fmt.Errorf("at %v", p.Status.Sync)
		}
		return nil
	})
	if p.Status.Sync.RewrittenFrom == "" || !strings.Contains(before, p.Status.Sync.RewrittenFrom[:10]) {
		t.Errorf("the rewrite is not reported: from %q, before %q", p.Status.Sync.RewrittenFrom, before)
	}
	sys.Until(t, "the project of the new history", func() error {
		o := &v1alpha1.Project{ObjectMeta: s.Meta("app")}
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(o), o); err != nil || o.Spec.Language != "zig" {
			return fmt.Errorf("language %q: %v", o.Spec.Language, err)
		}
		return nil
	})
}

// A push without a hook is found by the poll.
func TestPollIsTheSafetyNet(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "305", "alpha")
	s.declare(t)
	if err := sys.Git.RemoveHooks(s.Repository()); err != nil {
		t.Fatal(err)
	}
	s.push(t, s.files())
	sys.condition(t, &v1alpha1.Environment{ObjectMeta: s.Meta("dev")}, "Ready", "True", "Ready")
}

func TestGitHostFailures(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "306", "alpha")
	s.open(t)
	for name, failure := range map[string]githost.Failure{"authentication": githost.RefuseAuth(), "server error": githost.ServerError()} {
		t.Run(name, func(t *testing.T) {
			sys.Git.Fail(s.Repository(), failure)
			message := sys.condition(t, s.Object(), "Synced", "False", v1alpha1.ReasonFetchFailed)
			if strings.Contains(message, "token-") {
				t.Errorf("the message holds the credential: %s", message)
			}
			r := s.runtimeObject()
			if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil || !r.DeletionTimestamp.IsZero() {
				t.Errorf("a repository that cannot be read must change nothing: %v", err)
			}
			sys.Git.Heal(s.Repository())
			sys.condition(t, s.Object(), "Synced", "True", v1alpha1.ReasonSynced)
		})
	}
}

func TestTenantRepository(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	const repo = "tenant/management"
	if _, err := sys.Git.AddRepository(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	sys.Git.Grant("tenant-token", githost.Read, repo)
	sys.MustApply(t, scenario.GitSecret("tenant-repository", "tenant-token"), scenario.TenantRepository(tenantName, sys.Git.URL+"/"+repo+".git", "tenant-repository"))
	if err := sys.AddTenantHook(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	sys.Push(t, repo, githost.Commit{Files: map[string]string{
		"clusters/mirrored.yaml": `apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Cluster
metadata: {name: mirrored}
spec: {apiServer: "https://10.0.0.1:6443", clusterType: physical, usage: host}
`,
		"providers/mirrored.yaml": `apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepoProvider
metadata: {name: mirrored}
spec: {httpAddress: "https://mirrored.example", sshAddress: "ssh://git@mirrored.example:22", apiServer: "https://mirrored.example/api/v4", providerType: gitlab}
`,
		"providers/products.yaml": `apiVersion: nautes.resource.nautes.io/v1alpha1
kind: ProductProvider
metadata: {name: products}
spec: {type: coderepo, name: mirrored}
`,
		"hooks/list.yaml": `apiVersion: nautes.resource.nautes.io/v1alpha1
kind: PipelineHook
metadata: {name: list}
spec:
  sides: [pre, post]
  task: {steps: [{name: ls, image: bash, command: [ls]}]}
`,
	}})
	named := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: name}
	}
	sys.condition(t, &v1alpha1.CodeRepoProvider{ObjectMeta: named("mirrored")}, "Ready", "True", "Ready")
	sys.condition(t, &v1alpha1.ProductProvider{ObjectMeta: named("products")}, "Ready", "False", v1alpha1.ReasonSecretMissing)
	sys.condition(t, &v1alpha1.PipelineHook{ObjectMeta: named("list")}, "Ready", "True", "Ready")
	sys.condition(t, &v1alpha1.Cluster{ObjectMeta: named("mirrored")}, "Ready", "False", v1alpha1.ReasonSecretMissing)
	management := v1alpha1.CodeRepo{ObjectMeta: named("management")}
	sys.condition(t, &management, "Ready", "True", "Ready")
	if management.Status.Sync == nil || management.Status.Sync.Files != 4 {
		t.Errorf("the tenant repository reports %v, want 4 files", management.Status.Sync)
	}
	// A product's kind has no place in the tenant repository.
	sys.Push(t, repo, githost.Commit{Files: map[string]string{"clusters/env.yaml": newProduct(sys, "1", "alpha").env()}})
	sys.condition(t, &management, "Ready", "False", v1alpha1.ReasonFilesRefused)
	sys.Push(t, repo, githost.Commit{Delete: []string{"clusters/env.yaml", "clusters/mirrored.yaml"}})
	sys.AwaitGone(t, sys.Client, &v1alpha1.Cluster{ObjectMeta: named("mirrored")})
}

// The operator may not read Secrets outside of its namespace, nor be led there.
func TestSecretsStayInTheOperatorsNamespace(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	kubeconfig, err := sys.Tenant.ConfigFor(devstack.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	c, err := scenario.NewClient(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace("kube-system")); err == nil {
		t.Error("the operator can list the Secrets of kube-system")
	}
	if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace(devstack.OperatorNamespace)); err != nil {
		t.Errorf("the operator cannot list the Secrets of its namespace: %v", err)
	}
}
