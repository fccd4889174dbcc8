package controllers_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

// A push of manifests refreshes the Application that deploys them, by a hook that the
// operator makes, and removes with the last runtime that deploys the repository. The commit
// gets the outcome as its status.
func TestPushOfManifestsIsDeployedAtOnce(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	forge, p := gitlab.New(t), newProduct(sys, "117", "alpha")
	forge.AddUser(gitlab.User{Username: "owner"})
	forge.AddGroup(p.Group, gitlab.Private, "owner")
	path, repo := p.Group+"/manifests", "repo-1170"
	forge.AddProject(path, gitlab.ProjectSettings{Readme: true})
	sys.MustApply(t, scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("CodeRepoProvider", "forge-117",
		"httpAddress: "+forge.URL, "sshAddress: ssh://git@127.0.0.1:22", "apiServer: "+forge.API, "providerType: gitlab", "commitStatuses: true")))
	sys.putText(t, secrets.ProviderToken("forge-117"), "access_token", forge.Token("owner"))
	sys.putText(t, secrets.RepositoryReadOnly("gitlab", repo), "deploykey", "key-of-"+repo)
	p.declare(t)
	files := map[string]string{
		envFile: p.env(), projectFile: p.project(), scenario.CodeRepoPath(repo): p.CodeRepo(repo, "manifests", "codeRepoProvider: forge-117", "project: app"),
	}
	p.push(t, files)
	r := &v1alpha1.CodeRepo{ObjectMeta: p.Meta(repo)}
	sys.condition(t, r, "Ready", "True", v1alpha1.ReasonReady)
	if hooks := forge.Hooks(path); len(hooks) > 0 || r.Status.Hook != nil {
		t.Errorf("nothing deploys the repository, and it has the hooks %+v", hooks)
	}

	runtime := p.DeploymentRuntime(scenario.Deployment{
		Name: "dr", Project: "app", Environment: "dev", Namespace: p.namespace, Repo: repo, Path: "deploy", Revision: "main",
	})
	p.push(t, map[string]string{runtimeFile: runtime})
	sys.condition(t, r, "Hooked", "True", v1alpha1.ReasonReady)
	url := sys.Hooks + "/hooks/v1/products/" + p.Name + "/repositories/" + repo
	if hooks := forge.Hooks(path); len(hooks) != 1 || hooks[0].URL != url || hooks[0].SigningToken == "" || !slices.Equal(hooks[0].Events, []string{"push_events"}) {
		t.Errorf("the hooks are %+v, want one of %s", hooks, url)
	}
	p.synced(t, "Synced", "Healthy")
	sys.condition(t, p.runtimeObject(), "Ready", "True", v1alpha1.ReasonReady)

	refresh := func() string {
		app := p.application()
		if err := sys.Clusters[p.cluster].Get(t.Context(), client.ObjectKeyFromObject(app), app); err != nil {
			t.Fatal(err)
		}
		return app.GetAnnotations()["argocd.argoproj.io/refresh"]
	}
	if got := refresh(); got != "" {
		t.Errorf("before the push, the Application has the refresh %q", got)
	}
	began := time.Now()
	commit, err := forge.Push(t.Context(), path, githost.Commit{Files: map[string]string{"deploy/app.yaml": "{}\n"}})
	if err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "the refresh", func() error {
		if got := refresh(); got != "normal" {
			return fmt.Errorf("it is %q: %+v", got, forge.Deliveries(path))
		}
		return nil
	})
	t.Logf("refreshed %v after the push began", time.Since(began))
	p.merge(t, `{"status":{"sync":{"revision":"`+commit+`"}}}`)
	sys.condition(t, p.runtimeObject(), "Reported", "True", v1alpha1.ReasonReady)
	sys.Until(t, "the status of the commit", func() error {
		if got := forge.Statuses(path, commit); len(got) != 1 || got[0].State != "success" || got[0].Name != "nautes/dev/dr" {
			return fmt.Errorf("the statuses are %+v", got)
		}
		return nil
	})

	p.push(t, nil, runtimeFile)
	sys.Until(t, "the hook to go", func() error {
		p.release(t, p.cluster)
		if hooks := forge.Hooks(path); len(hooks) > 0 {
			return fmt.Errorf("there are %+v", hooks)
		}
		return nil
	})
}
