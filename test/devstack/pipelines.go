package devstack

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// busManifest is an event bus as small as can be.
const busManifest = `apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default, namespace: ` + ArgoEventsNamespace + `}
spec: {jetstream: {version: latest, replicas: 3}}
`

// InstallPipelines writes the objects that StartArgoEvents and StartTekton need to
// a runtime control plane, for callers that install no components: the manifests of both, but for their Deployments, and an event bus.
func (s *Stack) InstallPipelines(ctx context.Context, runtime string) error {
	plane, err := s.runtime(runtime)
	if err != nil {
		return err
	}
	return s.step("the manifests of Argo Events and Tekton on "+runtime, func() error {
		for _, component := range mirroredComponents() {
			if !slices.Contains([]string{ArgoEventsNamespace, TektonNamespace}, component.namespace) {
				continue
			}
			if err := plane.install(ctx, component); err != nil {
				return fmt.Errorf("install %s on %s: %w", component.name, runtime, err)
			}
		}
		return Apply(ctx, plane.Config(), []byte(busManifest))
	})
}

// install applies the objects of a component, its CRDs first.
func (c *ControlPlane) install(ctx context.Context, component mirrored) error {
	_, objects, err := component.read(ctx)
	if err != nil {
		return err
	}
	set, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	if err := ensureNamespace(ctx, set, component.namespace); err != nil {
		return err
	}
	var crds []crdFile
	var others []*unstructured.Unstructured
	for _, object := range objects {
		switch object.GetKind() {
		case "Deployment":
		case "CustomResourceDefinition":
			crd := crdFile{}
			if crd.content, err = yaml.Marshal(object.Object); err != nil {
				return err
			}
			if err := yaml.Unmarshal(crd.content, &crd.CustomResourceDefinition); err != nil {
				return err
			}
			crds = append(crds, crd)
		default:
			others = append(others, object)
		}
	}
	if err := installCRDs(ctx, c.Config(), crds); err != nil {
		return err
	}
	writer, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	for _, object := range others {
		if !isClusterScoped(groupKind(object)) && object.GetNamespace() == "" {
			object.SetNamespace(component.namespace)
		}
		err := writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}
