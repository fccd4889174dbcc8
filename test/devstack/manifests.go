package devstack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const rbacGroup = "rbac.authorization.k8s.io"

// decodeManifests returns the objects of YAML documents, in their order.
func decodeManifests(manifests []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode a manifest: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// readManifests returns the objects in the files below dir that match patterns,
// without kustomizations.
func readManifests(dir string, patterns ...string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s holds no %s", dir, pattern)
		}
		for _, file := range files {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			found, err := decodeManifests(content)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			objects = append(objects, found...)
		}
	}
	return objects, nil
}

func groupKind(object *unstructured.Unstructured) schema.GroupKind {
	return object.GroupVersionKind().GroupKind()
}

// isClusterScoped knows the kinds of Kubernetes that components bring; the
// manifests hold none of the components' own kinds.
func isClusterScoped(kind schema.GroupKind) bool {
	switch kind.Group {
	case "":
		return kind.Kind == "Namespace"
	case rbacGroup:
		return strings.HasPrefix(kind.Kind, "Cluster")
	default:
		return slices.Contains([]string{"apiextensions.k8s.io", "admissionregistration.k8s.io", "apiregistration.k8s.io"}, kind.Group)
	}
}

// inNamespace changes HNC's manifests as its kustomization nowebhooks-cc does: it
// sets a namespace, and puts a prefix before names.
func inNamespace(namespace, prefix string) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		kind := groupKind(object)
		switch {
		case kind.Kind == "CustomResourceDefinition":
			return nil
		case kind.Kind == "Namespace":
			object.SetName(namespace)
			return nil
		}
		object.SetName(prefix + object.GetName())
		if !isClusterScoped(kind) {
			object.SetNamespace(namespace)
		}
		switch {
		case kind.Group == rbacGroup && strings.HasSuffix(kind.Kind, "Binding"):
			return bindAgain(object, namespace, prefix)
		case kind.Kind == "Deployment":
			return withoutWebhooks(object, prefix)
		}
		return nil
	}
}

func bindAgain(binding *unstructured.Unstructured, namespace, prefix string) error {
	role, _, err := unstructured.NestedString(binding.Object, "roleRef", "name")
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(binding.Object, prefix+role, "roleRef", "name"); err != nil {
		return err
	}
	subjects, _, err := unstructured.NestedSlice(binding.Object, "subjects")
	if err != nil {
		return err
	}
	for _, subject := range subjects {
		if subject, ok := subject.(map[string]any); ok {
			subject["namespace"] = namespace
		}
	}
	return unstructured.SetNestedSlice(binding.Object, subjects, "subjects")
}

func withoutWebhooks(deployment *unstructured.Unstructured, prefix string) error {
	path := []string{"spec", "template", "spec"}
	pod, _, err := unstructured.NestedMap(deployment.Object, path...)
	if err != nil {
		return err
	}
	containers, _, err := unstructured.NestedSlice(pod, "containers")
	if err != nil {
		return err
	}
	for _, container := range containers {
		container, ok := container.(map[string]any)
		if !ok {
			continue
		}
		args, _, err := unstructured.NestedSlice(container, "args")
		if err != nil {
			return err
		}
		container["args"] = append(args, "--enable-internal-cert-management", "--no-webhooks")
	}
	volumes, _, err := unstructured.NestedSlice(pod, "volumes")
	if err != nil {
		return err
	}
	for _, volume := range volumes {
		if volume, ok := volume.(map[string]any); ok {
			if name, found, _ := unstructured.NestedString(volume, "secret", "secretName"); found {
				_ = unstructured.SetNestedField(volume, prefix+name, "secret", "secretName")
			}
		}
	}
	pod["containers"], pod["volumes"] = containers, volumes
	return unstructured.SetNestedMap(deployment.Object, pod, path...)
}
