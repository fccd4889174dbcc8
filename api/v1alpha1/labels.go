package v1alpha1

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
	// LabelFrom is the ProductProvider that a Product comes from.
	LabelFrom = "resource.nautes.io/from"
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
	// AnnotationRotateKeys on a CodeRepo has the operator make its deploy keys anew, once
	// for each value.
	AnnotationRotateKeys = "nautes.io/rotate-deploy-keys"

	// Finalizer is on every object that has traces elsewhere or can be in use.
	Finalizer = "nautes.resource.nautes.io/finalizer"
)
