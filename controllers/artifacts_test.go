package controllers_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/scenario"
)

// The credentials of an artifact repository reach the accounts of the runtimes that may
// use it, also when they arrive late, are rotated, or are granted no longer. No
// deployment waits for them.
func TestArtifactRepository(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	const artifactFile = "artifact-repos/images/images.yaml"
	s := newProduct(sys, "911", "alpha")
	file := func(project string) map[string]string {
		return map[string]string{artifactFile: scenario.Declaration("ArtifactRepo", "images", "registry: registry.example/team", "projects: ["+project+"]")}
	}
	s.declare(t)
	files := s.files()
	files[artifactFile] = file("app")[artifactFile]
	s.push(t, files)
	// The runtime is deployed without the credentials, and the space names their path.
	s.ready(t)
	space := &v1alpha1.Space{}
	space.Namespace, space.Name = s.Name, "alpha"
	message := sys.condition(t, space, "Ready", "False", v1alpha1.ReasonSecretMissing)
	if !strings.Contains(message, "repo/"+s.Name+"-images/default/readonly") {
		t.Errorf("the message does not name the path: %s", message)
	}
	worker := sys.Clusters["alpha"]
	pull := scenario.Object("v1", "Secret", s.namespace, "nautes-pull-images")
	for _, password := range []string{"first", "rotated"} {
		credential := map[string]string{"username": "robot", "password": password}
		if err := sys.Secrets(t.Context(), secrets.Artifacts(s.Name+"-images", "readonly"), credential); err != nil {
			t.Fatal(err)
		}
		sys.Until(t, "the pull secret with the password "+password, func() error {
			if err := worker.Get(context.Background(), client.ObjectKeyFromObject(pull), pull); err != nil {
				return err
			}
			if passwordAt(t, pull, "registry.example/team") != password {
				return errors.New("it holds another password")
			}
			return nil
		})
	}
	sys.condition(t, space, "Ready", "True", "Ready")
	if kind, _, _ := unstructured.NestedString(pull.Object, "type"); kind != "kubernetes.io/dockerconfigjson" {
		t.Errorf("the Secret has the type %s", kind)
	}
	account := scenario.Object("v1", "ServiceAccount", s.namespace, "dr")
	pulls := func() []any {
		if err := worker.Get(context.Background(), client.ObjectKeyFromObject(account), account); err != nil {
			t.Fatal(err)
		}
		list, _, _ := unstructured.NestedSlice(account.Object, "imagePullSecrets")
		return list
	}
	if got := fmt.Sprint(pulls()); got != "[map[name:nautes-pull-images]]" {
		t.Errorf("the account pulls by %s", got)
	}
	// Granted to another project alone, it is the runtime's no longer.
	s.push(t, map[string]string{"projects/web/web.yaml": s.Project("web", "go"), artifactFile: file("web")[artifactFile]})
	sys.AwaitGone(t, worker, pull)
	sys.Until(t, "an account without pull secrets", func() error {
		if got := pulls(); len(got) > 0 {
			return fmt.Errorf("it has %v", got)
		}
		return nil
	})
	s.push(t, file("app"))
	sys.AwaitObjects(t, worker, pull)
	s.push(t, nil, artifactFile)
	sys.AwaitGone(t, worker, pull)
}

// passwordAt returns the password for a registry in an image pull secret.
func passwordAt(t *testing.T, secret *unstructured.Unstructured, registry string) string {
	t.Helper()
	text, _, _ := unstructured.NestedString(secret.Object, "data", ".dockerconfigjson")
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Auths map[string]struct{ Password string }
	}
	if err := json.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	return config.Auths[registry].Password
}

// A warning is in the status of an object and in an event, and goes with its cause.
func TestWarningsAreReported(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "912", "alpha")
	s.declare(t)
	s.push(t, map[string]string{envFile: s.env()})
	sys.condition(t, &v1alpha1.Environment{ObjectMeta: s.Meta("dev")}, "Ready", "True", "Ready")
	s.push(t, map[string]string{"envs/test.yaml": s.Environment("test", "alpha")})
	second := &v1alpha1.Environment{ObjectMeta: s.Meta("test")}
	sys.condition(t, second, "Ready", "True", "Ready")
	if got := fmt.Sprint(second.Status.Warnings); !strings.Contains(got, "spec.cluster: Environment dev is on cluster alpha already") {
		t.Errorf("the warnings are %s", got)
	}
	s.push(t, nil, envFile)
	sys.Until(t, "no warning", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(second), second); err != nil {
			return err
		}
		if len(second.Status.Warnings) > 0 {
			return fmt.Errorf("%v", second.Status.Warnings)
		}
		return nil
	})
}
