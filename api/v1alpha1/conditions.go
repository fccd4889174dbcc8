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
	// ConditionArmed reports whether every trigger of a pipeline runtime is armed.
	ConditionArmed = "Armed"
)

// Condition reasons: the whole list. Programs may rely on these words.
const (
	// ReasonReady: everything is as the spec says.
	ReasonReady = "Ready"
	// ReasonValid: every rule holds.
	ReasonValid = "Valid"
	// ReasonInvalid: a rule is broken; the message holds the field paths.
	ReasonInvalid = "Invalid"
	// ReasonReferenceMissing: an object that this one names does not exist (yet).
	ReasonReferenceMissing = "ReferenceMissing"
	// ReasonPermissionDenied: a code repository is not granted to this object.
	ReasonPermissionDenied = "PermissionDenied"
	// ReasonNamespaceClaimed: another product uses the namespace on this cluster.
	ReasonNamespaceClaimed = "NamespaceClaimed"
	// ReasonDestinationImmutable: the destination changed after the deployment.
	ReasonDestinationImmutable = "DestinationImmutable"
	// ReasonInUse: the object is being deleted and others still need it.
	ReasonInUse = "InUse"
	// ReasonDeleting: the object is being deleted and its traces removed.
	ReasonDeleting = "Deleting"
	// ReasonSuspended: spec.suspend stops the reconciliation, or a deployed object is
	// suspended.
	ReasonSuspended = "Suspended"
	// ReasonApplied: everything is written.
	ReasonApplied = "Applied"
	// ReasonApplyFailed: a write failed and is tried again.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonNotOurs: an object of that name exists and was not made by Nautes.
	ReasonNotOurs = "NotOurs"
	// ReasonFieldsContested: another writer changes an object of ours again and again.
	ReasonFieldsContested = "FieldsContested"
	// ReasonPruneGuarded: too much would be removed at once; an annotation or the
	// trailer of a commit confirms it.
	ReasonPruneGuarded = "PruneGuarded"
	// ReasonKindMissing: the cluster does not serve a kind that is needed.
	ReasonKindMissing = "KindMissing"
	// ReasonSecretMissing: a secret that is needed is not in the store.
	ReasonSecretMissing = "SecretMissing"
	// ReasonSecretFound: the secret that is needed is in the store.
	ReasonSecretFound = "SecretFound"
	// ReasonSecretStoreUnavailable: the secret store does not answer, or is sealed.
	ReasonSecretStoreUnavailable = "SecretStoreUnavailable"
	// ReasonSecretStoreDenied: the secret store refuses the operator.
	ReasonSecretStoreDenied = "SecretStoreDenied"
	// ReasonRepositoryClaimed: another product has a code repository of that
	// name, and with it the credentials of that name.
	ReasonRepositoryClaimed = "RepositoryClaimed"
	// ReasonVersionSupported: the version of Kubernetes is supported.
	ReasonVersionSupported = "VersionSupported"
	// ReasonVersionUnsupported: the version of Kubernetes is too old.
	ReasonVersionUnsupported = "VersionUnsupported"
	// ReasonPortTaken: another cluster uses a node port on the same host.
	ReasonPortTaken = "PortTaken"
	// ReasonHostNotReady: the host of a virtual cluster is not ready for it.
	ReasonHostNotReady = "HostNotReady"
	// ReasonComponentsReady: every component is ready.
	ReasonComponentsReady = "ComponentsReady"
	// ReasonComponentsProgressing: components are being installed.
	ReasonComponentsProgressing = "ComponentsProgressing"
	// ReasonComponentDegraded: a component could not be installed or is not healthy.
	ReasonComponentDegraded = "ComponentDegraded"
	// ReasonRegistered: the tenant's Argo CD knows the cluster.
	ReasonRegistered = "Registered"
	// ReasonReregistering: the registration of the former cluster is removed first.
	ReasonReregistering = "Reregistering"
	// ReasonProgressing: work goes on.
	ReasonProgressing = "Progressing"
	// ReasonDegraded: a deployed object is not healthy.
	ReasonDegraded = "Degraded"
	// ReasonMissing: an object that must be deployed does not exist.
	ReasonMissing = "Missing"
	// ReasonUnknown: Argo CD cannot compare the source, or does not know the health.
	ReasonUnknown = "Unknown"
	// ReasonDiffers: the cluster changed an object while it was written.
	ReasonDiffers = "Differs"
	// ReasonHealthy: the deployed objects are healthy.
	ReasonHealthy = "Healthy"
	// ReasonSynced: the source is in sync.
	ReasonSynced = "Synced"
	// ReasonOutOfSync: the source and the cluster differ.
	ReasonOutOfSync = "OutOfSync"
	// ReasonFilesRefused: some files of the revision were not mirrored.
	ReasonFilesRefused = "FilesRefused"
	// ReasonFetchFailed: the Git repository could not be read.
	ReasonFetchFailed = "FetchFailed"
	// ReasonCredentialsInvalid: the kubeconfig cannot be used as it is.
	ReasonCredentialsInvalid = "CredentialsInvalid"
	// ReasonConnected: the cluster answers.
	ReasonConnected = "Connected"
	// ReasonNotConnected: the cluster is not connected yet, or does not answer.
	ReasonNotConnected = "NotConnected"
	// ReasonClusterReplaced: another cluster answers at the address.
	ReasonClusterReplaced = "ClusterReplaced"
	// ReasonAbandoned: objects on a lost cluster were given up on request.
	ReasonAbandoned = "Abandoned"
	// ReasonPruned: objects that are no longer asked for were deleted.
	ReasonPruned = "Pruned"
	// ReasonArmed: an event runs the pipeline.
	ReasonArmed = "Armed"
	// ReasonDisarmed: events run nothing, since a trigger or its event source is
	// not in place.
	ReasonDisarmed = "Disarmed"
	// ReasonNotServed: the operator is not configured to deploy anything for the object.
	ReasonNotServed = "NotServed"
	// ReasonWarned: the rules allow the object and warn of one of its settings; the
	// warning is in status.warnings.
	ReasonWarned = "Warned"
	// ReasonNotEvaluated: the last pass ended before it came to this condition.
	ReasonNotEvaluated = "NotEvaluated"
	// ReasonInternalError: an unexpected error; it is tried again.
	ReasonInternalError = "InternalError"
)

// Labels on everything that Nautes writes, and annotations that it reads.
const (
	// LabelManagedBy has the value ManagedBy on every object that Nautes writes.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy, and the field manager.
	ManagedBy = "nautes"
	// LabelTenant is the tenant that an object belongs to.
	LabelTenant = "nautes.io/tenant"
	// LabelProduct is the product that an object belongs to.
	LabelProduct = "nautes.io/product"
	// LabelOwnerKind is the kind whose plan holds the object.
	LabelOwnerKind = "nautes.io/owner-kind"
	// LabelOwnerName is the name of the owner; together with the product it is unique.
	LabelOwnerName = "nautes.io/owner-name"
	// LabelTenantRepository marks the CodeRepo, in the operator's namespace,
	// that is the tenant repository; its value is the tenant's name.
	LabelTenantRepository = "coderepo.resource.nautes.io/tenant-management"

	// AnnotationSourcePath is the file that a mirrored object comes from.
	AnnotationSourcePath = "nautes.io/source-path"
	// AnnotationConfirmPrune confirms a guarded prune: its value is the revision
	// (of a Git source) or the generation (of an object).
	AnnotationConfirmPrune = "nautes.io/confirm-prune"
	// TrailerConfirmPrune is the trailer in the message of a commit that confirms what
	// the commit removes. Its value is TrailerConfirmed.
	TrailerConfirmPrune = "Nautes-Confirm-Prune"
	// TrailerConfirmed is the only value of TrailerConfirmPrune that counts.
	TrailerConfirmed = "true"
	// AnnotationAbandon gives up the objects that are left on the named, unreachable
	// cluster.
	AnnotationAbandon = "nautes.io/abandon"
	// AnnotationAdopt on a foreign object allows Nautes to take it over; its
	// value is "<owner kind>/<owner name>".
	AnnotationAdopt = "nautes.io/adopt"
	// AnnotationReconcileAt requests a reconciliation: every change of an object
	// causes one, and people set this annotation to have something to change.
	AnnotationReconcileAt = "nautes.io/reconcile-at"

	// Finalizer is on every object that has traces elsewhere or can be in use.
	Finalizer = "nautes.resource.nautes.io/finalizer"
)
