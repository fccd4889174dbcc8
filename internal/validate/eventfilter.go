package validate

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/luapattern"
	"nautes.io/nautes/internal/schedule"
)

// eventFilter checks that Argo Events can follow the filters of an event source: one
// that it cannot follow would disable the other event sources of the runtime too.
func (c *checker) eventFilter(at *field.Path, e v1alpha1.EventSource) {
	if f, source, listens := forges.SourceOf(e); listens {
		if err := luapattern.CheckLuaPattern(source.Revision); err != nil {
			c.fail(RuleEventFilter, v1alpha1.ReasonInvalid, at.Child(string(f.Events.Source), "revision"), source.Revision, "%s", err)
		}
	}
	if e.Calendar == nil {
		return
	}
	if cron := e.Calendar.Schedule; cron != "" {
		if err := schedule.CheckCron(cron); err != nil {
			c.fail(RuleEventFilter, v1alpha1.ReasonInvalid, at.Child("calendar", "schedule"), cron, "%s", err)
		}
	}
	if err := schedule.CheckTimezone(e.Calendar.Timezone); err != nil {
		c.fail(RuleEventFilter, v1alpha1.ReasonInvalid, at.Child("calendar", "timezone"), e.Calendar.Timezone, "%s", err)
	}
	for i, date := range e.Calendar.ExclusionDates {
		if _, err := schedule.ParseExclusion(date, e.Calendar.Timezone); err != nil {
			c.fail(RuleEventFilter, v1alpha1.ReasonInvalid, at.Child("calendar", "exclusionDates").Index(i), date, "%s", err)
		}
	}
}
