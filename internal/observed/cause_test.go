package observed

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// state holds the parts of an Application that explain its state.
type state struct {
	Cause                        Cause
	Message, Attempt, Next, Held string
	Superseded                   bool
	Fault                        string
}

// The statuses are as Argo CD 2.14 writes them.
func TestCauses(t *testing.T) {
	const (
		first = "2788a1a0000000000000000000000000000000aa"
		fix   = "4af9c820000000000000000000000000000000bb"
	)
	const refused = `
      syncResult:
        revision: ` + first + `
        resources:
        - {group: "", version: v1, kind: ConfigMap, namespace: dr-dev, name: settings, status: Synced, message: configmap/settings configured, hookPhase: Running, syncPhase: Sync}
        - {group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, namespace: dr-dev, name: refused, status: SyncFailed, hookPhase: Failed, syncPhase: Sync,
           message: "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project product-1001"}
`
	const refusal = "ClusterRole.rbac.authorization.k8s.io refused refused: resource rbac.authorization.k8s.io:ClusterRole is not permitted in project product-1001"
	const automated = `{initiatedBy: {automated: true}, retry: {limit: 5}, sync: {revision: ` + first + `}}`
	for name, test := range map[string]struct {
		app  string
		want state
	}{
		"a refused kind, between two attempts": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    operationState:
      phase: Running
      operation: ` + automated + `
      retryCount: 1
      message: "one or more synchronization tasks are not valid due to application controller sync timeout. Retrying attempt #1 at 8:47PM."
      startedAt: "2026-02-01T20:47:40Z"
      finishedAt: "2026-02-01T20:47:41Z"` + refused,
			want: state{Cause: CauseRetried, Message: refusal, Attempt: first},
		},
		"an attempt that has just begun": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    operationState:
      phase: Running
      operation: ` + automated + `
      retryCount: 2
      message: "one or more synchronization tasks are not valid. Retrying attempt #2 at 8:47PM."
      startedAt: "2026-02-01T20:47:40Z"`,
			want: state{Cause: CauseRetried, Message: "one or more synchronization tasks are not valid", Attempt: first},
		},
		"a refused kind, and the fix waits": {
			app: `
  operation: ` + automated + `
  status:
    reconciledAt: "2026-02-01T20:47:55Z"
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState:
      phase: Running
      operation: ` + automated + `
      retryCount: 1
      message: "one or more synchronization tasks are not valid due to application controller sync timeout. Retrying attempt #1 at 8:47PM."
      startedAt: "2026-02-01T20:47:40Z"` + refused,
			want: state{Cause: CauseRetried, Message: refusal, Attempt: first, Next: fix, Superseded: true},
		},
		"a sync of a person is not ended": {
			app: `
  operation: {initiatedBy: {username: admin}, sync: {revision: ` + first + `}}
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState:
      phase: Running
      operation: {initiatedBy: {username: admin}, sync: {revision: ` + first + `}}
      retryCount: 1
      message: "boom. Retrying attempt #1 at 8:47PM."`,
			want: state{Cause: CauseRetried, Message: "boom", Attempt: first, Next: fix},
		},
		"a comparison from before the operation": {
			app: `
  operation: ` + automated + `
  status:
    reconciledAt: "2026-02-01T20:47:00Z"
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState: {phase: Running, operation: ` + automated + `, startedAt: "2026-02-01T20:47:40Z", message: waiting for completion of hook batch/Job/migrate}`,
			want: state{Cause: CauseWaits, Message: "waiting for completion of hook batch/Job/migrate", Attempt: first, Next: fix},
		},
		"a hook that runs": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    health: {status: Healthy}
    operationState:
      phase: Running
      operation: ` + automated + `
      message: waiting for completion of hook batch/Job/migrate
      syncResult:
        revision: ` + first + `
        resources:
        - {group: batch, version: v1, kind: Job, namespace: dr-dev, name: migrate, hookType: PreSync, hookPhase: Running, syncPhase: PreSync, message: job.batch/migrate created}`,
			want: state{Cause: CauseWaits, Message: "waiting for completion of hook batch/Job/migrate", Attempt: first},
		},
		"a wave that waits while the fix is there": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    health: {status: Progressing}
    resources:
    - {group: apps, version: v1, kind: Deployment, namespace: dr-dev, name: web, status: Synced, health: {status: Progressing, message: "Waiting for rollout to finish: 0 of 1 updated replicas are available..."}}
    operationState:
      phase: Running
      operation: ` + automated + `
      message: waiting for healthy state of apps/Deployment/web and 1 more resources
      syncResult: {revision: ` + first + `}`,
			want: state{
				Cause: CauseWaits, Message: "waiting for healthy state of apps/Deployment/web and 1 more resources", Attempt: first, Next: fix, Superseded: true,
				Fault: "Deployment.apps dr-dev/web: Waiting for rollout to finish: 0 of 1 updated replicas are available...",
			},
		},
		"an operation that is ended": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState: {phase: Terminating, operation: ` + automated + `, message: waiting for completion of hook batch/Job/migrate, syncResult: {revision: ` + first + `}}`,
		},
		"an operation that has ended": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState: {phase: Failed, operation: ` + automated + `, message: Operation terminated, syncResult: {revision: ` + first + `}}`,
		},
		"failed for good": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    conditions:
    - {type: SyncError, message: "Failed sync attempt to ` + first + `: one or more synchronization tasks are not valid (retried 5 times).", lastTransitionTime: "2026-02-01T20:52:00Z"}
    operationState:
      phase: Failed
      retryCount: 5
      message: one or more synchronization tasks are not valid (retried 5 times).` + refused,
			want: state{Cause: CauseFailed, Message: refusal, Attempt: first},
		},
		"a failure of the past, and an error now": {
			app: `
  status:
    sync: {status: Unknown, revision: ` + fix + `}
    health: {status: Unknown}
    conditions:
    - {type: ComparisonError, message: "Failed to load target state: rpc error: code = Unknown desc = authentication required", lastTransitionTime: "2026-02-01T21:00:00Z"}
    - {type: SyncError, message: "Failed sync attempt to ` + first + `: boom", lastTransitionTime: "2026-02-01T20:00:00Z"}
    operationState: {phase: Failed, message: boom, finishedAt: "2026-02-01T20:00:00Z", syncResult: {revision: ` + first + `}}`,
			want: state{Cause: CauseError, Message: "Failed to load target state: rpc error: code = Unknown desc = authentication required"},
		},
		"an old error and a newer one": {
			app: `
  status:
    conditions:
    - {type: ComparisonError, message: old, lastTransitionTime: "2026-02-01T20:00:00Z"}
    - {type: InvalidSpecError, message: "application destination server https://x is not permitted", lastTransitionTime: "2026-02-01T21:00:00Z"}`,
			want: state{Cause: CauseError, Message: "application destination server https://x is not permitted"},
		},
		"a failure of the past, and a success": {
			app: `
  status:
    sync: {status: Synced, revision: ` + fix + `}
    health: {status: Healthy}
    conditions:
    - {type: SyncError, message: "Failed sync attempt to ` + first + `: boom", lastTransitionTime: "2026-02-01T20:00:00Z"}
    operationState: {phase: Failed, message: boom, syncResult: {revision: ` + first + `}}`,
		},
		"put right by hand after a failure": {
			app: `
  status:
    sync: {status: Synced, revision: ` + first + `}
    health: {status: Healthy}
    operationState:
      phase: Failed
      message: boom` + refused,
		},
		"a failure for a source that is no more": {
			app: `
  spec: {source: {repoURL: https://git/x.git, path: new}}
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    resources:
    - {version: v1, kind: ConfigMap, namespace: dr-dev, name: settings, status: OutOfSync}
    operationState: {phase: Failed, message: boom, syncResult: {revision: ` + first + `, source: {repoURL: https://git/x.git, path: old}}}`,
			want: state{Cause: CauseObject, Message: "ConfigMap dr-dev/settings differs from its manifest"},
		},
		"a hook that failed after everything was deployed": {
			app: `
  status:
    sync: {status: Synced, revision: ` + first + `}
    health: {status: Healthy}
    operationState:
      phase: Failed
      message: one or more synchronization tasks completed unsuccessfully
      syncResult:
        revision: ` + first + `
        resources:
        - {group: batch, version: v1, kind: Job, namespace: dr-dev, name: smoke, hookType: PostSync, hookPhase: Failed, syncPhase: PostSync, message: Job has reached the specified backoff limit}`,
			want: state{Cause: CauseHook, Message: "Job.batch dr-dev/smoke failed: Job has reached the specified backoff limit"},
		},
		"everything would be removed": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    conditions:
    - {type: SyncError, message: "Skipping sync attempt to ` + fix + `: auto-sync will wipe out all resources", lastTransitionTime: "2026-02-01T20:00:00Z"}
    operationState: {phase: Succeeded, message: successfully synced (all tasks run), syncResult: {revision: ` + first + `}}`,
			want: state{Cause: CauseError, Message: "Skipping sync attempt to " + fix + ": auto-sync will wipe out all resources"},
		},
		"an object of two Applications": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    health: {status: Healthy}
    resources:
    - {version: v1, kind: ConfigMap, namespace: dr-dev, name: settings, status: OutOfSync}
    conditions:
    - {type: SharedResourceWarning, message: "ConfigMap/settings is part of applications argocd/product-1-dr and product-1-other", lastTransitionTime: "2026-02-01T00:00:00Z"}`,
			want: state{Cause: CauseWarning, Message: "SharedResourceWarning: ConfigMap/settings is part of applications argocd/product-1-dr and product-1-other"},
		},
		"an object that appears twice": {
			app: `
  status:
    sync: {status: Synced, revision: ` + first + `}
    health: {status: Healthy}
    conditions:
    - {type: RepeatedResourceWarning, message: "Resource /ConfigMap/dr-dev/twice appeared 2 times among application resources.", lastTransitionTime: "2026-02-01T00:00:00Z"}`,
			want: state{Cause: CauseWarning, Message: "RepeatedResourceWarning: Resource /ConfigMap/dr-dev/twice appeared 2 times among application resources."},
		},
		"an object that is to be removed": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    resources:
    - {version: v1, kind: ConfigMap, namespace: dr-dev, name: good, status: Synced}
    - {version: v1, kind: ConfigMap, namespace: dr-dev, name: old, status: OutOfSync, requiresPruning: true}`,
			want: state{Cause: CauseObject, Message: "ConfigMap dr-dev/old is still to be removed"},
		},
		"a deletion that hangs": {
			app: `
  metadata: {name: a, deletionTimestamp: "2026-02-01T00:00:00Z"}
  status:
    conditions:
    - {type: DeletionError, message: "Get https://me:hidden@10.0.0.1: dial tcp: i/o timeout", lastTransitionTime: "2026-02-01T00:00:00Z"}`,
			want: state{
				Cause: CauseError, Message: "Get https://10.0.0.1: dial tcp: i/o timeout", Held: "Get https://10.0.0.1: dial tcp: i/o timeout",
			},
		},
		"a deletion during a hook": {
			app: `
  metadata: {name: a, deletionTimestamp: "2026-02-01T00:00:00Z"}
  operation: {initiatedBy: {username: admin}}
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    operationState: {phase: Running, operation: {initiatedBy: {username: admin}}, message: waiting for completion of hook batch/Job/migrate, syncResult: {revision: ` + first + `}}`,
			want: state{
				Cause: CauseWaits, Message: "waiting for completion of hook batch/Job/migrate", Attempt: first, Superseded: true,
				Held: "its operation has not ended: waiting for completion of hook batch/Job/migrate",
			},
		},
		"objects of several healths": {
			app: `
  status:
    sync: {status: Synced}
    health: {status: Suspended}
    resources:
    - {version: v1, kind: Service, namespace: dr-dev, name: web, status: Synced, health: {status: Healthy}}
    - {group: batch, version: v1, kind: CronJob, namespace: dr-dev, name: nightly, status: Synced, health: {status: Suspended, message: CronJob is suspended}}`,
			want: state{Fault: "CronJob.batch dr-dev/nightly: CronJob is suspended"},
		},
		"a health without an object": {
			app: `
  status:
    sync: {status: Synced}
    health: {status: Unknown, message: failed to get resource health}`,
			want: state{Fault: "failed to get resource health"},
		},
		"a closed window": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState: {phase: Running, operation: ` + automated + `, message: Sync operation blocked by sync window}`,
			want: state{Cause: CauseWaits, Message: "Sync operation blocked by sync window", Attempt: first, Next: fix},
		},
		"a first attempt": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState: {phase: Running, operation: ` + automated + `, retryCount: 0, message: one of two, startedAt: "2026-02-01T20:47:40Z"}`,
		},
		"a refused kind at the first attempt": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    conditions:
    - {type: SharedResourceWarning, message: shared, lastTransitionTime: "2026-02-01T00:00:00Z"}
    operationState:
      phase: Running
      operation: ` + automated + `
      message: one or more synchronization tasks are not valid` + refused,
			want: state{Cause: CauseFailed, Message: refusal, Attempt: first},
		},
		"tried again, with a warning": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    conditions:
    - {type: SharedResourceWarning, message: shared, lastTransitionTime: "2026-02-01T00:00:00Z"}
    operationState: {phase: Running, operation: ` + automated + `, retryCount: 1, message: "boom. Retrying attempt #1 at 8:47PM."}`,
			want: state{Cause: CauseRetried, Message: "boom", Attempt: first},
		},
		"a wave that waits, and the new commit changes nothing": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: Synced, revision: ` + fix + `}
    operationState: {phase: Running, operation: ` + automated + `, message: waiting for healthy state of apps/Deployment/web}`,
			want: state{Cause: CauseWaits, Message: "waiting for healthy state of apps/Deployment/web", Attempt: first, Next: fix, Superseded: true},
		},
		"a wave that waits, and the new commit was not compared": {
			app: `
  operation: ` + automated + `
  status:
    sync: {status: Unknown, revision: ` + fix + `}
    operationState: {phase: Running, operation: ` + automated + `, message: waiting for healthy state of apps/Deployment/web}`,
			want: state{Cause: CauseWaits, Message: "waiting for healthy state of apps/Deployment/web", Attempt: first, Next: fix},
		},
		"a deletion, and the operation is withdrawn": {
			app: `
  metadata: {name: a, deletionTimestamp: "2026-02-01T00:00:00Z"}
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    operationState: {phase: Running, operation: ` + automated + `, message: waiting for completion of hook batch/Job/migrate}`,
			want: state{Cause: CauseWaits, Message: "waiting for completion of hook batch/Job/migrate", Attempt: first},
		},
		"a deletion during a first attempt": {
			app: `
  metadata: {name: a, deletionTimestamp: "2026-02-01T00:00:00Z"}
  operation: ` + automated + `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    operationState: {phase: Running, operation: ` + automated + `, message: one of two}`,
			want: state{Held: "its operation has not ended: one of two"},
		},
		"a failure without a revision": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    operationState: {phase: Failed, message: boom}`,
			want: state{Cause: CauseFailed, Message: "boom"},
		},
		"a failure before the first comparison": {
			app: `
  status:
    operationState: {phase: Failed, message: boom, syncResult: {revision: ` + first + `}}`,
			want: state{Cause: CauseFailed, Message: "boom", Attempt: first},
		},
		"a failure for the present source": {
			app: `
  spec: {source: {repoURL: https://git/x.git, path: new}}
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    operationState: {phase: Failed, message: boom, syncResult: {revision: ` + first + `, source: {repoURL: https://git/x.git, path: new, targetRevision: ""}}}`,
			want: state{Cause: CauseFailed, Message: "boom", Attempt: first},
		},
		"a failure for an unknown source": {
			app: `
  spec: {source: {repoURL: https://git/x.git, path: new}}
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    operationState: {phase: Failed, message: boom, syncResult: {revision: ` + first + `}}`,
			want: state{Cause: CauseFailed, Message: "boom", Attempt: first},
		},
		"a hook that failed for an earlier commit": {
			app: `
  status:
    sync: {status: Synced, revision: ` + fix + `}
    operationState:
      phase: Failed
      syncResult:
        revision: ` + first + `
        resources:
        - {group: batch, version: v1, kind: Job, namespace: dr-dev, name: smoke, hookType: PostSync, hookPhase: Error, message: no}`,
		},
		"a failure of the past, and the fix is to be deployed": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + fix + `}
    resources:
    - {version: v1, kind: ConfigMap, namespace: dr-dev, name: settings, status: OutOfSync}
    conditions:
    - {type: SyncError, message: "Failed sync attempt to ` + first + `: boom", lastTransitionTime: "2026-02-01T20:00:00Z"}
    operationState: {phase: Failed, message: boom, syncResult: {revision: ` + first + `}}`,
			want: state{Cause: CauseObject, Message: "ConfigMap dr-dev/settings differs from its manifest"},
		},
		"a failed attempt, and a warning": {
			app: `
  status:
    sync: {status: OutOfSync, revision: ` + first + `}
    conditions:
    - {type: SyncError, message: "Failed sync attempt to ` + first + `: boom", lastTransitionTime: "2026-02-01T20:00:00Z"}
    - {type: SharedResourceWarning, message: shared, lastTransitionTime: "2026-02-01T21:00:00Z"}`,
			want: state{Cause: CauseError, Message: "Failed sync attempt to " + first + ": boom"},
		},
		"a newer error, and old ones behind it": {
			app: `
  status:
    conditions:
    - {type: InvalidSpecError, message: new, lastTransitionTime: "2026-02-01T21:00:00Z"}
    - {type: ComparisonError, message: old, lastTransitionTime: "2026-02-01T20:00:00Z"}
    - {type: UnknownError, message: "of the same time", lastTransitionTime: "2026-02-01T21:00:00Z"}
    - {type: UnknownError, lastTransitionTime: "2026-02-01T22:00:00Z"}`,
			want: state{Cause: CauseError, Message: "new"},
		},
		"healthy objects with a message": {
			app: `
  status:
    sync: {status: Synced}
    health: {status: Healthy, message: fine}
    resources:
    - {version: v1, kind: Service, namespace: dr-dev, name: web, status: Synced, health: {status: Healthy, message: fine}}`,
		},
		"objects without a health": {
			app: `
  status:
    sync: {status: Synced}
    health: {message: none}
    resources:
    - {version: v1, kind: Service, namespace: dr-dev, name: web, status: Synced, health: {message: none}}`,
		},
		"another form": {app: `
  operation: x
  status: {operationState: [1], conditions: {a: b}, resources: [1, {health: x}], health: {status: Degraded}}`},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := yaml.YAMLToJSON([]byte(test.app))
			if err != nil {
				t.Fatal(err)
			}
			// Clients read numbers as int64, and others as float64.
			for decoder, decode := range map[string]func([]byte, any) error{"of clients": utiljson.Unmarshal, "of others": json.Unmarshal} {
				u := &unstructured.Unstructured{}
				if err := decode(text, &u.Object); err != nil {
					t.Fatal(err)
				}
				app := ApplicationOf(u)
				got := state{
					Cause: app.Cause, Message: app.Message, Attempt: app.Attempt, Next: app.Next, Held: app.Held, Superseded: app.Superseded, Fault: app.Fault,
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("state with the decoder %s (-want +got):\n%s", decoder, diff)
				}
			}
		})
	}
}

func TestFailed(t *testing.T) {
	for cause, want := range map[Cause]bool{
		"": false, CauseError: true, CauseRetried: true, CauseFailed: true, CauseWaits: false, CauseHook: false, CauseWarning: false, CauseObject: false,
	} {
		if got := cause.Failed(); got != want {
			t.Errorf("%q has failed: %v, want %v", cause, got, want)
		}
	}
}

// Argo CD gives every object in the result of a sync a namespace.
func TestSyncedID(t *testing.T) {
	app := map[string]any{"status": map[string]any{"resources": []any{
		map[string]any{"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "x"},
		map[string]any{"group": "cert-manager.io", "kind": "Issuer", "namespace": "dr-dev", "name": "x"},
	}}}
	for want, resource := range map[string]map[string]any{
		"ClusterRole.rbac.authorization.k8s.io x": {"group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "namespace": "dr-dev", "name": "x"},
		"Role.rbac.authorization.k8s.io dr-dev/x": {"group": "rbac.authorization.k8s.io", "kind": "Role", "namespace": "dr-dev", "name": "x"},
		"Namespace x":                            {"group": "", "kind": "Namespace", "namespace": "dr-dev", "name": "x"},
		"Namespace.example.com dr-dev/x":         {"group": "example.com", "kind": "Namespace", "namespace": "dr-dev", "name": "x"},
		"ClusterIssuer.cert-manager.io x":        {"group": "cert-manager.io", "kind": "ClusterIssuer", "namespace": "dr-dev", "name": "x"},
		"ClusterIssuer.cert-manager.io dr-dev/y": {"group": "cert-manager.io", "kind": "ClusterIssuer", "namespace": "dr-dev", "name": "y"},
		"Issuer.cert-manager.io dr-dev/x":        {"group": "cert-manager.io", "kind": "Issuer", "namespace": "dr-dev", "name": "x"},
	} {
		if got := syncedID(app, resource).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
