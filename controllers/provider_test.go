package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

// A group with a default.project is a product as long as the forge has it, and no longer.
// Its name, its marks and a token that expires change nothing of it.
func TestProductsOfAForge(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	forge := gitlab.New(t, func(o *gitlab.Options) { o.FirstID = 70000 })
	admin := forge.Token("root")
	group := forge.AddGroup("labs", gitlab.Private, "")
	forge.AddProject("labs/default.project", gitlab.ProjectSettings{Readme: true})
	forge.AddProject("labs/app", gitlab.ProjectSettings{Readme: true})
	others := forge.AddGroup("others", gitlab.Private, "")
	forge.AddProject("others/my-default.project", gitlab.ProjectSettings{Readme: true})

	sys.MustApply(t, scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("CodeRepoProvider", "found",
		"httpAddress: "+forge.URL, "apiServer: "+forge.API, "providerType: gitlab")),
		scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("ProductProvider", "found", "type: coderepo", "name: found", "gracePeriodSeconds: 1")))
	provider := &v1alpha1.ProductProvider{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: "found"}}
	sys.condition(t, provider, v1alpha1.ConditionListed, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing)
	sys.putText(t, secrets.ProviderToken("found"), "access_token", admin)
	product := productOf(group.ID)
	t.Run("a group is found", func(t *testing.T) {
		sys.condition(t, product, v1alpha1.ConditionGroupPresent, metav1.ConditionTrue, v1alpha1.ReasonPresent)
		sys.condition(t, product, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
		sys.condition(t, provider, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
		if provider.Status.Products != 1 {
			t.Errorf("the provider has %d Products, want 1", provider.Status.Products)
		}
		if missing := productOf(others.ID); !apierrors.IsNotFound(sys.Client.Get(t.Context(), client.ObjectKeyFromObject(missing), missing)) {
			t.Error("a group without a default.project has a Product")
		}
	})

	t.Run("it is renamed", func(t *testing.T) {
		call(t, forge, admin, http.MethodPut, fmt.Sprintf("/groups/%d?path=laboratory", group.ID))
		sys.Until(t, "the new name", func() error {
			if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(product), product); err != nil {
				return err
			}
			if product.Spec.Name != "laboratory" || !strings.Contains(product.Spec.MetaDataPath, "/laboratory/") {
				return fmt.Errorf("the product is %+v", product.Spec)
			}
			return nil
		})
	})

	t.Run("the token is revoked", func(t *testing.T) {
		forge.RevokeToken(admin)
		sys.condition(t, provider, v1alpha1.ConditionListed, metav1.ConditionFalse, v1alpha1.ReasonForgeDenied)
		ending := forge.Now().Add(29 * 24 * time.Hour)
		admin = forge.AddToken(gitlab.Token{User: "root", ExpiresAt: ending}).Value
		sys.putText(t, secrets.ProviderToken("found"), "access_token", admin)
		sys.condition(t, provider, v1alpha1.ConditionListed, metav1.ConditionTrue, v1alpha1.ReasonListed)
		if warnings := strings.Join(provider.Status.Warnings, "\n"); !strings.Contains(warnings, "ends on "+ending.Format(time.DateOnly)) {
			t.Errorf("the warnings are %q", warnings)
		}
		if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(product), product); err != nil || product.DeletionTimestamp != nil {
			t.Errorf("the product went: %v", err)
		}
	})

	t.Run("it is marked for deletion", func(t *testing.T) {
		call(t, forge, admin, http.MethodDelete, fmt.Sprintf("/groups/%d", group.ID))
		message := sys.condition(t, product, v1alpha1.ConditionGroupPresent, metav1.ConditionFalse, v1alpha1.ReasonMarkedForDeletion)
		if !strings.Contains(message, "group laboratory") || product.Spec.Name != "laboratory" || product.DeletionTimestamp != nil {
			t.Errorf("the product is %+v: %s", product.Spec, message)
		}
	})

	t.Run("the provider is deleted", func(t *testing.T) {
		if err := sys.Client.Delete(t.Context(), provider); err != nil {
			t.Fatal(err)
		}
		if message := sys.condition(t, provider, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInUse); !strings.Contains(message, product.Name) {
			t.Errorf("the message names no Product: %s", message)
		}
	})

	t.Run("it is gone", func(t *testing.T) {
		forge.RemoveNow(pathOf(forge, group.ID))
		sys.AwaitGone(t, sys.Client, product, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: product.Name}}, provider)
	})
}

// productOf returns the Product of a group, to read.
func productOf(group int64) *v1alpha1.Product {
	return &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: fmt.Sprintf("product-%d", group)}}
}

// pathOf returns the path of a group, which changes with its state.
func pathOf(forge *gitlab.Server, group int64) string {
	for _, g := range forge.Groups() {
		if g.ID == group {
			return g.Path
		}
	}
	return ""
}

// call sends a request to GitLab that must succeed.
func call(t *testing.T, forge *gitlab.Server, token, method, path string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, forge.API+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("PRIVATE-TOKEN", token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
}
