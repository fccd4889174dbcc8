package config

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var manager = filepath.Join("..", "..", "config", "manager")

// The shipped file shows every field with its default. It loads to the same
// configuration as a file that sets only the tenant.
func TestShippedFileHoldsTheDefaults(t *testing.T) {
	path := filepath.Join(manager, "operator.yaml")
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &Operator{APIVersion: APIVersion, Kind: Kind, Tenant: got.Tenant}
	want.Default()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs from the defaults (-defaults +file):\n%s", path, diff)
	}
	fields := keys(t, marshal(t, want))
	if diff := cmp.Diff(fields, keys(t, read(t, path))); diff != "" {
		t.Errorf("%s does not show the fields of OperatorConfig (-fields +file):\n%s", path, diff)
	}
	want.SecretStore.Vault = &Vault{}
	fields = slices.DeleteFunc(keys(t, marshal(t, want)), func(name string) bool { return name == "secretStore.vault" })
	guide := string(read(t, filepath.Join("..", "..", "docs", "operate.md")))
	for _, name := range fields {
		if !strings.Contains(guide, "`"+name+"`") {
			t.Errorf("docs/operate.md does not describe the field %s", name)
		}
	}
}

// The Deployment provides everything that the shipped file refers to: the file
// itself, a writable directory for the mirrors, and the ports.
func TestDeploymentFitsTheShippedFile(t *testing.T) {
	settings, err := Load(filepath.Join(manager, "operator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(read(t, filepath.Join(manager, "deployment.yaml")), &deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment.Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("the pod has %d containers, want 1", len(pod.Containers))
	}
	container := pod.Containers[0]

	if deployment.Namespace != settings.Namespace {
		t.Errorf("the Deployment is in namespace %q, the file says %q", deployment.Namespace, settings.Namespace)
	}
	wantPorts := map[string]int32{
		"metrics": port(t, settings.Metrics.Address), "probes": port(t, settings.Probes.Address), "push-hooks": port(t, settings.Receiver.Address),
	}
	gotPorts := map[string]int32{}
	for _, p := range container.Ports {
		gotPorts[p.Name] = p.ContainerPort
	}
	if diff := cmp.Diff(wantPorts, gotPorts); diff != "" {
		t.Errorf("the ports differ (-file +Deployment):\n%s", diff)
	}

	source := func(path string) corev1.VolumeSource {
		for _, mount := range container.VolumeMounts {
			if path == mount.MountPath || strings.HasPrefix(path, mount.MountPath+"/") {
				at := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
				return pod.Volumes[at].VolumeSource
			}
		}
		return corev1.VolumeSource{}
	}
	if source(settings.Git.CacheDir).EmptyDir == nil || source("/tmp").EmptyDir == nil {
		t.Errorf("want empty directories for %s and /tmp, since the root file system is read-only", settings.Git.CacheDir)
	}
	file := ""
	for _, arg := range container.Args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			file = value
		}
	}
	if filepath.Base(file) != "operator.yaml" || source(file).ConfigMap == nil {
		t.Errorf("--config=%s is not the file operator.yaml of the mounted ConfigMap", file)
	}
	if s := container.SecurityContext; s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !*pod.SecurityContext.RunAsNonRoot {
		t.Error("the container may write to its root file system, gain privileges or run as root")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func marshal(t *testing.T, o any) []byte {
	t.Helper()
	data, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func port(t *testing.T, address string) int32 {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(number)
}

// keys returns the sorted paths of the leaves of a YAML document.
func keys(t *testing.T, document []byte) []string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(document, &value); err != nil {
		t.Fatal(err)
	}
	var all []string
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		fields, ok := value.(map[string]any)
		if !ok {
			all = append(all, strings.TrimPrefix(prefix, "."))
		}
		for name, child := range fields {
			walk(prefix+"."+name, child)
		}
	}
	walk("", value)
	slices.Sort(all)
	return all
}
