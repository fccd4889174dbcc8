package build

import "nautes.io/nautes/internal/plan"

// Result is what every builder of this package returns: the desired state of one
// owner on each target, and the facts F that it follows from, so that a caller
// need not ask the snapshot again. With an error the facts hold what is known all
// the same, and there are no sets.
type Result[F any] struct {
	plan.Plan
	Facts F
}
