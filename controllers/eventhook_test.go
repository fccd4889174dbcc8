package controllers_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

// The operator makes the hooks that event sources wait for, with the token that Argo
// Events checks, and removes the hooks of event sources that go.
func TestOperatorMakesHooksOfPipelines(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	forge, m := gitlab.New(t), newPipelineProduct(sys, "1035")
	forge.AddUser(gitlab.User{Username: "owner"})
	forge.AddGroup(m.Group, gitlab.Private, "owner")
	path := m.Group + "/" + m.source
	forge.AddProject(path, gitlab.ProjectSettings{Readme: true})
	token := map[string]secrets.Value{"access_token": secrets.NewValue([]byte(forge.Token("owner")))}
	if _, err := sys.store.Create(t.Context(), secrets.ProviderToken("forge-1035"), token); err != nil {
		t.Fatal(err)
	}
	sys.MustApply(t, scenario.Provider("forge-1035", forge.URL))
	m.declare(t)
	m.playControllers(t)
	sys.putText(t, secrets.RepositoryReadOnly("gitlab", m.source), "deploykey", "key-of-"+m.source)
	files := m.files(t, m.guide(t))
	files[scenario.CodeRepoPath(m.source)] = m.CodeRepo(m.source, m.source, "codeRepoProvider: forge-1035")
	m.push(t, files)

	r := m.pipelines()
	sys.condition(t, r, "Armed", metav1.ConditionTrue, "")
	sys.condition(t, r, "Hooked", metav1.ConditionTrue, v1alpha1.ReasonReady)
	made := func() map[string]string {
		hooks := map[string]string{}
		for _, h := range forge.Hooks(path) {
			hooks[h.URL] += fmt.Sprint(h.Events, h.Token)
		}
		return hooks
	}
	want := map[string]string{}
	for _, w := range r.Status.Webhooks {
		at, err := url.Parse(w.URL)
		if err != nil {
			t.Fatal(err)
		}
		token, err := scenario.EventSourceToken(t.Context(), sys.Clusters[pipelineWorker], at.Path)
		if err != nil {
			t.Fatal(err)
		}
		want[w.URL] = fmt.Sprint(w.Events, token)
	}
	if diff := cmp.Diff(want, made()); diff != "" || len(want) != 4 {
		t.Errorf("the hooks (-want +got):\n%s", diff)
	}

	gone := r.Status.Webhooks[0]
	m.change(t, func(spec *v1alpha1.ProjectPipelineRuntimeSpec) {
		spec.EventSources = slices.DeleteFunc(spec.EventSources, func(e v1alpha1.EventSource) bool { return e.Name == gone.EventSource })
		spec.PipelineTriggers = slices.DeleteFunc(spec.PipelineTriggers, func(trigger v1alpha1.PipelineTrigger) bool { return trigger.EventSource == gone.EventSource })
	})
	delete(want, gone.URL)
	sys.Until(t, "the hook of the removed event source to go", func() error {
		if diff := cmp.Diff(want, made()); diff != "" {
			return fmt.Errorf("the hooks (-want +got):\n%s", diff)
		}
		return nil
	})

	if err := sys.Client.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "the hooks of the deleted runtime to go", func() error {
		if left := forge.Hooks(path); len(left) > 0 {
			return fmt.Errorf("%d are left", len(left))
		}
		return nil
	})
}
