package plan

// SystemKind describes how items of one kind are removed from a target that is
// not Kubernetes. Each such system declares its kinds.
type SystemKind struct {
	Group, Kind string
	// Revoke: the items grant access. An item that must not exist is removed
	// before anything is written.
	Revoke bool
	// Stage in which other items are removed, after everything is written.
	Stage Stage
	// Container: items of several owners live in an item of this kind and are
	// lost with it. After a change of it they are checked again.
	Container bool
}
