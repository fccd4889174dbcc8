package build

import "nautes.io/nautes/internal/plan"

// Result is the result of every builder of this package: the desired state of one
// owner on each target, and the facts F that it follows from, so that a caller need
// not ask the snapshot again. A builder that returns an error returns no sets, and the
// facts as far as they are known.
type Result[F any] struct {
	plan.Plan
	Facts F
}
