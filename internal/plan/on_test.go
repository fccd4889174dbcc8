package plan_test

import (
	"testing"

	"nautes.io/nautes/internal/plan"
)

func TestPlanOn(t *testing.T) {
	p := plan.Plan{Sets: []plan.Set{{Target: plan.Cluster("a")}, {Target: plan.Cluster("b")}, {Target: plan.Tenant}}}
	for target, want := range map[plan.Target]*plan.Set{
		plan.Cluster("a"): &p.Sets[0], plan.Cluster("b"): &p.Sets[1], plan.Tenant: &p.Sets[2], plan.Cluster("c"): nil,
	} {
		if got := p.On(target); got != want {
			t.Errorf("on %s is %v, want %v", target, got, want)
		}
	}
}
