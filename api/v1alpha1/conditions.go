package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus; the others
// are facts of single kinds.
const (
	// ConditionReady is the summary: the object is as its spec says.
	ConditionReady = "Ready"
	// ConditionReconciling is true while work goes on or something is awaited.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when a person must change something.
	ConditionStalled = "Stalled"
	// ConditionValid reports whether the object and its references obey the rules.
	ConditionValid = "Valid"
	// ConditionApplied reports whether everything that the object asks for is written.
	ConditionApplied = "Applied"
	// ConditionSynced reports whether the source (a Git repository, an Application) is in sync.
	ConditionSynced = "Synced"
	// ConditionHealthy reports whether the deployed objects are healthy.
	ConditionHealthy = "Healthy"
	// ConditionConnected reports whether a cluster answers.
	ConditionConnected = "Connected"
	// ConditionCredentials reports whether the kubeconfig of a cluster is there.
	ConditionCredentials = "Credentials"
	// ConditionSupported reports whether the version of Kubernetes is supported.
	ConditionSupported = "Supported"
	// ConditionRegistered reports whether the tenant's Argo CD knows the cluster.
	ConditionRegistered = "Registered"
	// ConditionComponents reports whether every component is ready.
	ConditionComponents = "ComponentsReady"
	// ConditionSecretAccess reports whether accounts of the cluster can log in to
	// the secret store.
	ConditionSecretAccess = "SecretAccess"
	// ConditionSpaces reports whether every space of a product is ready.
	ConditionSpaces = "SpacesReady"
	// ConditionListed reports whether the forge answered which products it has.
	ConditionListed = "Listed"
	// ConditionGroupPresent reports whether the forge has the group and the repository
	// of a product that comes from a ProductProvider.
	ConditionGroupPresent = "GroupPresent"
	// ConditionHooked reports whether the Git forge has the hooks that report pushes and
	// events. It is there if the receiver has a public URL.
	ConditionHooked = "Hooked"
	// ConditionDeployKeys reports whether the Git forge has the deploy keys of a code
	// repository. It is there if deployKeys of the CodeRepoProvider is set.
	ConditionDeployKeys = "DeployKeys"
	// ConditionReported reports whether the Git forge shows the outcome of a runtime as
	// statuses of commits. It is there if commitStatuses of the CodeRepoProvider is set.
	ConditionReported = "Reported"
	// ConditionArmed reports whether every trigger of a pipeline runtime is armed.
	ConditionArmed = "Armed"
)

// Condition reasons: the whole list. Programs may rely on these words.
const (
	// ReasonReady: everything is as the spec says.
	//
	// Example: Application product-42-dr-dev is Synced at 4af9c82000, Healthy
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonReady = "Ready"
	// ReasonValid: every rule holds.
	//
	// Example: every rule holds
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonValid = "Valid"
	// ReasonInvalid: a rule is broken; the message holds the field paths.
	//
	// Example: spec.destination.namespaces[0]: namespace kube-system is reserved: use one
	// that is neither default nor begins with kube- or product-
	//
	// Remedy: change the fields that the message names.
	ReasonInvalid = "Invalid"
	// ReasonReferenceMissing: an object that this one names does not exist (yet).
	//
	// Example: spec.destination.environment: Environment product-42/test does not exist:
	// create it, or correct the name
	//
	// Remedy: push or create the object that the message names; nothing else is needed.
	ReasonReferenceMissing = "ReferenceMissing"
	// ReasonPermissionDenied: a code repository is not granted to this object.
	//
	// Example: spec.manifestSource.codeRepo: CodeRepo product-42/api is not granted to the
	// whole product: name the projects that use it, or add a CodeRepoBinding without
	// projects
	//
	// Remedy: add a CodeRepoBinding, or own the repository.
	ReasonPermissionDenied = "PermissionDenied"
	// ReasonNamespaceClaimed: another product uses the namespace on this cluster.
	//
	// Example: spec.destination.namespace: namespace shop-build on cluster ci is used by
	// ProjectPipelineRuntime product-42/api-build, and a pipeline runtime shares its
	// namespace with no other runtime: use another namespace
	//
	// Remedy: choose another namespace, or delete the first claim.
	ReasonNamespaceClaimed = "NamespaceClaimed"
	// ReasonDestinationImmutable: the destination changed after the deployment.
	//
	// Example: spec.destination.namespaces: the runtime is deployed to dr-dev on cluster
	// alpha (environment dev) and cannot move: undo the change, or delete the runtime and
	// create it again
	//
	// Remedy: put it back, or delete the runtime and create it again.
	ReasonDestinationImmutable = "DestinationImmutable"
	// ReasonInUse: the object is being deleted and others still need it.
	//
	// Example: it is deleted when nothing uses it any more; now DeploymentRuntime
	// product-42/dr-dev does
	//
	// Remedy: remove the users that the message and status.usedBy name.
	ReasonInUse = "InUse"
	// ReasonDeleting: the object is being deleted and its traces removed.
	//
	// Example: Namespace shop-dev on Cluster alpha is being removed:
	// NamespaceFinalizersRemaining: Some content in the namespace has finalizers
	// remaining: example.com/hold in 1 resource instances
	//
	// Remedy: wait; if it does not end, the message names an object and why it is not
	// gone: its finalizers, the namespace's own words, or Argo CD's error.
	ReasonDeleting = "Deleting"
	// ReasonSuspended: spec.suspend stops the reconciliation, or a deployed object is
	// suspended.
	//
	// Example: spec.suspend is set: the repository is not mirrored
	//
	// Remedy: remove it, or resume the object that the message names.
	ReasonSuspended = "Suspended"
	// ReasonApplied: everything is written.
	//
	// Example: accounts of the space can read their secrets
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonApplied = "Applied"
	// ReasonApplyFailed: a write failed and is tried again.
	//
	// Example: ServiceAccount shop-dev/dr-dev on Cluster alpha: the API server refuses it:
	// serviceaccounts "dr-dev" is forbidden: exceeded quota: few
	//
	// Remedy: the message has the server's words, without credentials; it is tried again.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonNotOurs: an object of that name exists and was not made by Nautes.
	//
	// Example: Namespace shop-dev exists on Cluster alpha and belongs to another owner
	// (kubectl-create); delete it or use another name, or hand it over with the annotation
	// nautes.io/adopt: Space/product-42
	//
	// Remedy: remove or rename it, or have it taken over with the annotation
	// nautes.io/adopt.
	ReasonNotOurs = "NotOurs"
	// ReasonFieldsContested: another writer changes an object of ours again and again.
	//
	// Example: Application.argoproj.io argocd/product-42-dr-dev on Cluster alpha is
	// changed again and again by tuner: stop that writer, or take the object out of its
	// hands; the changes stay until the next attempt
	//
	// Remedy: stop the writer that the message names.
	ReasonFieldsContested = "FieldsContested"
	// ReasonPruneGuarded: too much would be removed at once; an annotation or the
	// trailer of a commit confirms it.
	//
	// Example: 2 of the 3 objects of Space product-42 on Cluster alpha would be removed
	// and are kept: Namespace shop-dev, ServiceAccount shop-dev/dr-dev. If the removal is
	// intended, set the annotation nautes.io/confirm-prune: 7 on Space product-42/alpha,
	// or push the change by a commit with the trailer Nautes-Confirm-Prune: true in its
	// message
	//
	// Remedy: restore the files or the grant; if the removal is meant, set the annotation
	// or push a commit with the trailer, as the message says.
	ReasonPruneGuarded = "PruneGuarded"
	// ReasonKindMissing: the cluster does not serve a kind that is needed.
	//
	// Example: Cluster alpha does not serve AppProject.argoproj.io; install the component
	// that brings it
	//
	// Remedy: wait for the component that brings it; where it is External, install it
	// there.
	ReasonKindMissing = "KindMissing"
	// ReasonSecretMissing: a secret that is needed is not in the store.
	//
	// Example: the secret cluster/kubernetes/alpha/default/admin in the secret store has
	// no field kubeconfig; add it
	//
	// Remedy: store it at the path in the message.
	ReasonSecretMissing = "SecretMissing"
	// ReasonSecretFound: the secret that is needed is in the store.
	//
	// Example: the kubeconfig is in the secret store at
	// cluster/kubernetes/alpha/default/admin
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonSecretFound = "SecretFound"
	// ReasonSecretStoreUnavailable: the secret store does not answer, or is sealed.
	//
	// Example: use the secret cluster/kubernetes/alpha/default/admin: the secret store does
	// not answer: it is sealed; unseal it
	//
	// Remedy: repair or unseal Vault; running software goes on, and the operator tries
	// again by itself.
	ReasonSecretStoreUnavailable = "SecretStoreUnavailable"
	// ReasonSecretStoreDenied: the secret store refuses the operator.
	//
	// Example: read the secret cluster/kubernetes/alpha/default/admin: the secret store
	// refuses it: the operator has no right to read
	// cluster/data/kubernetes/alpha/default/admin; see the operator's policy
	//
	// Remedy: give the operator's role in Vault the policy that docs/operate.md describes.
	ReasonSecretStoreDenied = "SecretStoreDenied"
	// ReasonRepositoryClaimed: another product has a code repository of that
	// name, and with it the credentials of that name.
	//
	// Example: metadata.name: the credentials of a repository are kept by its name, and
	// CodeRepo product-7/shared of another product has the name already: use another name,
	// or have that one deleted
	//
	// Remedy: rename the CodeRepo, or delete the product that the message names.
	ReasonRepositoryClaimed = "RepositoryClaimed"
	// ReasonVersionSupported: the version of Kubernetes is supported.
	//
	// Example: Kubernetes v1.34.4 is supported
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonVersionSupported = "VersionSupported"
	// ReasonVersionUnsupported: the version of Kubernetes is too old.
	//
	// Example: Kubernetes v1.27.3 is older than 1.28, which the components need: upgrade
	// the cluster
	//
	// Remedy: upgrade the cluster, or set minimumKubernetesVersion in the
	// ComponentCatalogue if the components that you chose run there.
	ReasonVersionUnsupported = "VersionUnsupported"
	// ReasonPortTaken: another cluster uses a node port on the same host.
	//
	// Example: spec.vcluster.httpsNodePort: Cluster nautes/first has the node port 31443
	// of cluster host already, by its spec.vcluster.httpsNodePort: use another port
	//
	// Remedy: choose another port in the field that the message names.
	ReasonPortTaken = "PortTaken"
	// ReasonHostNotReady: the host of a virtual cluster is not ready for it.
	//
	// Example: the host of the virtual cluster is not ready: cluster host is not
	// connected: the API server did not answer in time; check the network, firewalls and
	// the load of the API server
	//
	// Remedy: repair the host's Cluster; the virtual one follows.
	ReasonHostNotReady = "HostNotReady"
	// ReasonComponentsReady: every component is ready.
	//
	// Example: 2/2 components
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonComponentsReady = "ComponentsReady"
	// ReasonComponentsProgressing: components are being installed.
	//
	// Example: 1/2 components; not ready yet: hnc
	//
	// Remedy: wait; status.components shows which, and since when.
	ReasonComponentsProgressing = "ComponentsProgressing"
	// ReasonComponentDegraded: a component could not be installed or is not healthy.
	//
	// Example: 1/2 components; hnc: Application alpha-hnc is Synced, Degraded: Pod
	// hnc-system/hnc-0: CrashLoopBackOff
	//
	// Remedy: status.components has the message of each; look at its Application in the
	// tenant's Argo CD.
	ReasonComponentDegraded = "ComponentDegraded"
	// ReasonRegistered: the tenant's Argo CD knows the cluster.
	//
	// Example: the tenant's Argo CD knows the cluster
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonRegistered = "Registered"
	// ReasonReregistering: the registration of the former cluster is removed first.
	//
	// Example: the objects of the earlier registration are removed first: Secret
	// argocd/alpha on Tenant is being removed
	//
	// Remedy: wait; if it does not end, the message names the remaining objects.
	ReasonReregistering = "Reregistering"
	// ReasonProgressing: work goes on.
	//
	// Example: Application product-42-dr-dev is Progressing: Deployment.apps shop-dev/web:
	// 0 of 1 updated replicas are available
	//
	// Remedy: wait; the message names the first object.
	ReasonProgressing = "Progressing"
	// ReasonDegraded: a deployed object is not healthy.
	//
	// Example: Application product-42-dr-dev is Degraded: Deployment.apps shop-dev/web:
	// exceeded its progress deadline
	//
	// Remedy: repair the object that the message names.
	ReasonDegraded = "Degraded"
	// ReasonMissing: an object that must be deployed does not exist.
	//
	// Example: Application product-42-dr-dev is Missing: Service shop-dev/web
	//
	// Remedy: repair the object that the message names.
	ReasonMissing = "Missing"
	// ReasonUnknown: Argo CD cannot compare the source, or does not know the health.
	//
	// Example: Argo CD cannot compare Application product-42-dr-dev: ComparisonError:
	// authentication required
	//
	// Remedy: the message has its words, for example about the repository.
	ReasonUnknown = "Unknown"
	// ReasonDiffers: the cluster changed an object while it was written.
	//
	// Example: Application.argoproj.io argocd/product-42-dr-dev on Cluster alpha differs
	// from what was written: spec.syncPolicy.automated.prune is false, and true was
	// applied; change the admission webhook, the policy or the schema that causes it
	//
	// Remedy: change the admission webhook, the policy or the schema; the object is
	// written again after ten minutes.
	ReasonDiffers = "Differs"
	// ReasonHealthy: the deployed objects are healthy.
	//
	// Example: Application product-42-dr-dev is healthy
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonHealthy = "Healthy"
	// ReasonSynced: the source is in sync.
	//
	// Example: Application product-42-dr-dev is at revision 4af9c82000
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonSynced = "Synced"
	// ReasonOutOfSync: the source and the cluster differ.
	//
	// Example: Application product-42-dr-dev is OutOfSync: the sync to revision 2788a1a000
	// failed and is tried again: ClusterRole.rbac.authorization.k8s.io web: resource
	// rbac.authorization.k8s.io:ClusterRole is not permitted in project product-42
	//
	// Remedy: the message names the revision, the first object and the reason; correct the
	// manifests and push.
	ReasonOutOfSync = "OutOfSync"
	// ReasonFilesRefused: some files of the revision were not mirrored.
	//
	// Example: runtimes/dr-dev.yaml:9: spec.manifestSource.path is 1.20, which is read as
	// the number 1.2: put it in quotes
	//
	// Remedy: status.sync.problems lists every problem of these files with line, field and
	// remedy; correct the files and push.
	ReasonFilesRefused = "FilesRefused"
	// ReasonFetchFailed: the Git repository could not be read.
	//
	// Example: repository git.example.com/shop/default.project: repository does not exist:
	// the server knows no such repository, or does not show it to this user: check the URL,
	// and that the credentials may read the repository
	//
	// Remedy: check URL, branch and credentials as the message says; network failures are
	// tried again.
	ReasonFetchFailed = "FetchFailed"
	// ReasonListed: the forge answered which groups are products.
	//
	// Example: 3 groups of the account nautes have a default.project
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonListed = "Listed"
	// ReasonForgeUnavailable: the forge does not answer, or asks to wait.
	//
	// Example: CodeRepoProvider gitlab: list the repositories named "default.project": the
	// forge is not available: 502 Bad Gateway; it is tried again
	//
	// Remedy: check spec.apiServer of the CodeRepoProvider, and the forge; it is tried again.
	ReasonForgeUnavailable = "ForgeUnavailable"
	// ReasonForgeDenied: the forge does not accept the access token, or denies a request.
	//
	// Example: CodeRepoProvider gitlab: read the owner of the access token: the forge does
	// not accept the access token: store a token with the scope api at tenant/git/gitlab/root
	//
	// Remedy: store a token as the message says.
	ReasonForgeDenied = "ForgeDenied"
	// ReasonRepositoryMismatch: the repository in the forge is not the one that the name of
	// the CodeRepo or the group of the product says.
	//
	// Example: shop/api is repository 7 in CodeRepoProvider gitlab, and its deploy keys are
	// kept by the name of the CodeRepo: declare it as CodeRepo repo-7
	//
	// Remedy: rename the CodeRepo, or correct the repository that it names.
	ReasonRepositoryMismatch = "RepositoryMismatch"
	// ReasonPresent: the forge has the group and its default.project.
	//
	// Example: group shop of ProductProvider products
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonPresent = "Present"
	// ReasonMarkedForDeletion: the forge has marked the group or its default.project for
	// deletion.
	//
	// Example: the forge will delete group shop: restore it there to keep the product,
	// which is removed 1h0m0s after the group
	//
	// Remedy: restore the group in the forge, or let the product go.
	ReasonMarkedForDeletion = "MarkedForDeletion"
	// ReasonRepositoryMissing: the group of a product has no default.project that the
	// account of the provider maintains.
	//
	// Example: group shop has no default.project that the account nautes maintains: create
	// the repository again, or delete the Product
	//
	// Remedy: create the repository, or give the account the role that the message names.
	ReasonRepositoryMissing = "RepositoryMissing"
	// ReasonGroupMissing: the forge has no group with the number in the name of the product.
	//
	// Example: the forge shows no group 42 to the account nautes: the product is removed at
	// 2024-01-02T04:04:05Z, with everything that it deployed
	//
	// Remedy: give the account its role in the group again, if the group still exists.
	ReasonGroupMissing = "GroupMissing"
	// ReasonCredentialsInvalid: the kubeconfig cannot be used as it is.
	//
	// Example: the client certificate in the kubeconfig has expired on 2024-01-31; store a
	// kubeconfig with a new one
	//
	// Remedy: store one as described above.
	ReasonCredentialsInvalid = "CredentialsInvalid"
	// ReasonConnected: the cluster answers.
	//
	// Example: Kubernetes v1.34.4 answers
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonConnected = "Connected"
	// ReasonNotConnected: the cluster is not connected yet, or does not answer.
	//
	// Example: cluster alpha is not connected: the API server did not answer in time; check
	// the network, firewalls and the load of the API server
	//
	// Remedy: repair the cluster or the network; it reconnects by itself.
	ReasonNotConnected = "NotConnected"
	// ReasonClusterReplaced: another cluster answers at the address.
	//
	// Example: another cluster answers at the address: the UID of its namespace
	// kube-system is 5f1c, and 0b7a is on record; bring the first one back, or delete the
	// Cluster and create it again
	//
	// Remedy: bring the first one back, or delete the Cluster and create it again.
	ReasonClusterReplaced = "ClusterReplaced"
	// ReasonAbandoned: objects on a lost cluster were given up on request.
	//
	// Example: its objects on cluster alpha are given up, as the annotation
	// nautes.io/abandon asks: remove them there by hand
	//
	// Remedy: remove them by hand if the cluster comes back.
	ReasonAbandoned = "Abandoned"
	// ReasonPruned: objects that are no longer asked for were deleted.
	//
	// Example: deleted 1 object on Cluster alpha that Space product-42 no longer asks for
	// (revision 4af9c8200000 by Ada <ada@example.com>): Namespace shop-test
	//
	// Remedy: nothing; the event has their number, their names and the commit, and the log
	// a line for each.
	ReasonPruned = "Pruned"
	// ReasonArmed: an event runs the pipeline.
	//
	// Example: 2/2 triggers are armed
	//
	// Remedy: nothing; this is the reason of a condition without a problem.
	ReasonArmed = "Armed"
	// ReasonDisarmed: events run nothing, since a trigger or its event source is
	// not in place.
	//
	// Example: 1/2 triggers are armed; not armed is build by push: Argo Events does not
	// run Sensor api-push: no bus
	//
	// Remedy: status.triggers has the reason of each trigger; the condition Armed has the
	// first.
	ReasonDisarmed = "Disarmed"
	// ReasonNotServed: the operator is not configured to deploy anything for the object.
	//
	// Example: pipelines.runnerImage is missing in the operator's configuration: set it to
	// the image with nautes-runner
	//
	// Remedy: set pipelines.runnerImage in its configuration file.
	ReasonNotServed = "NotServed"
	// ReasonWarned: the rules allow the object and warn of one of its settings; the
	// warning is in status.warnings.
	//
	// Example: spec.argocdHost: it has no effect: a host cluster has no component of the
	// category deployment: remove the field
	//
	// Remedy: follow the message, or leave the setting as it is; nothing is refused.
	ReasonWarned = "Warned"
	// ReasonNotEvaluated: the last pass ended before it came to this condition.
	//
	// Example: the last pass ended before it came to this condition; Ready says why
	//
	// Remedy: see Ready for why it ended.
	ReasonNotEvaluated = "NotEvaluated"
	// ReasonInternalError: an unexpected error; it is tried again.
	//
	// Example: an unexpected error, tried again with growing pauses; the operator's log
	// has it under this object's name
	//
	// Remedy: the operator's log has it under the object's name.
	ReasonInternalError = "InternalError"
)
