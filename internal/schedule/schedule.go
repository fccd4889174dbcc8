// Package schedule checks the calendars of event sources. It guarantees that Argo
// Events can follow an accepted one.
package schedule

import (
	"fmt"
	"strings"
	"time"
	// The program brings the time zones along, so that they do not depend on the host.
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

// shorthands returns the expressions that Argo Events does not support, as fields.
func shorthands() map[string]string {
	return map[string]string{
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
	}
}

// Fields returns a cron expression as five fields. It replaces shorthands such as
// @daily.
func Fields(expression string) string {
	if fields, ok := shorthands()[expression]; ok {
		return fields
	}
	return expression
}

// CheckCron returns the problem of a cron expression, or nil if it is accepted.
func CheckCron(expression string) error {
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	parsed, err := parser.Parse(Fields(expression))
	if err != nil {
		return fmt.Errorf("it is not a cron expression: %w", err)
	}
	// Next gives up after some years. For a day that never comes, Argo Events would
	// send one event after the other.
	if parsed.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fmt.Errorf("the day never comes: choose a day of the month")
	}
	return nil
}

// CheckTimezone returns an error if there is no time zone of that name.
func CheckTimezone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fmt.Errorf("there is no such time zone: write a name of the tz database, for example Europe/Berlin")
	}
	return nil
}

// ExclusionDay returns the day of a date or a date with time, both in ISO 8601, in the
// form that Argo Events reads. It returns false if there is no such day.
func ExclusionDay(date string) (string, bool) {
	day, _, _ := strings.Cut(strings.ReplaceAll(date, " ", "T"), "T")
	day = strings.ReplaceAll(day, "-", "")
	if _, err := time.Parse("20060102", day); err != nil {
		return "", false
	}
	return "EXDATE:" + day + "T000000Z", true
}
