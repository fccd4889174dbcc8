package devstack

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/test/githost"
)

const runtimeA = "runtime-a"

var shared = Shared{Options: Options{Runtimes: []string{runtimeA}, ControllerManager: true, Bare: true}}

func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		startOrphan()
		return
	}
	os.Exit(shared.Run(m))
}

// eventually waits until check returns nil.
func eventually(t *testing.T, within time.Duration, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll(ctx, check); err != nil {
		t.Fatal(err)
	}
}

func TestStartNamesMissingPrograms(t *testing.T) {
	t.Setenv(assetsVariable, "")
	tests := map[string]struct {
		options      Options
		wantPrograms []string
		wantCommand  string
	}{
		"the control plane": {
			options:      Options{ControllerManager: true, Vault: true},
			wantPrograms: []string{"etcd", "kube-apiserver", "kube-controller-manager", "vault"},
			wantCommand:  "make tools",
		},
		"the tenant's Argo CD": {
			options:      Options{TenantArgoCD: true},
			wantPrograms: []string{"etcd", "kube-apiserver", "argocd", "redis"},
			wantCommand:  "make demo-tools",
		},
		"the demo": {
			options:      Options{ArgoCD: true, HNC: true, Pipelines: true},
			wantPrograms: []string{"etcd", "kube-apiserver", "argocd", "redis", "hnc-manager", "argoevents", "nats-server", "tekton-controller", "pod"},
			wantCommand:  "make demo-tools",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.options.BinDir = t.TempDir()
			_, err := Start(t.Context(), test.options)
			var missing *MissingError
			if !errors.As(err, &missing) {
				t.Fatalf("Start: %v, want a *MissingError", err)
			}
			if diff := cmp.Diff(test.wantPrograms, missing.Programs); diff != "" {
				t.Errorf("programs (-want +got):\n%s", diff)
			}
			if missing.Command != test.wantCommand || !strings.Contains(err.Error(), test.wantCommand) {
				t.Errorf("error %q, want it to name %q", err, test.wantCommand)
			}
		})
	}
}

func TestAssetsGoBeforeBin(t *testing.T) {
	assets, bin := t.TempDir(), t.TempDir()
	for _, path := range []string{assets + "/etcd", bin + "/etcd", bin + "/redis"} {
		if err := os.WriteFile(path, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(assetsVariable, assets)
	for name, want := range map[string]string{"etcd": assets + "/etcd", "redis": bin + "/redis"} {
		got, err := programs{bin: bin}.path(name)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestAddRuntimeRefusesNames(t *testing.T) {
	stack := shared.Stack(t)
	for name, runtime := range map[string]string{
		"the tenant's": TenantName,
		"taken":        runtimeA,
		"a path":       "../x",
	} {
		t.Run(name, func(t *testing.T) {
			if err := stack.AddRuntime(t.Context(), runtime); !errors.Is(err, errRuntimeName) {
				t.Errorf("AddRuntime(%q): %v, want %v", runtime, err, errRuntimeName)
			}
		})
	}
}

func TestStopEndsEverything(t *testing.T) {
	stack, err := Start(t.Context(), Options{Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.Err(); err != nil {
		t.Errorf("running: %v", err)
	}
	server, etcd := stack.Tenant.server, stack.Etcd.Process
	for range 2 {
		if err := stack.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, process := range []*Process{server, etcd} {
		if process.Err() == nil {
			t.Errorf("%s still runs", process.program.Name)
		}
	}
	if _, err := os.Stat(stack.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory %s is still there: %v", stack.Dir, err)
	}
	if _, err := stack.Git.Push(t.Context(), "a/b", githost.Commit{}); err == nil {
		t.Error("the Git host still answers")
	}
}
