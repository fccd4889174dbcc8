// Package schedule reads the calendars of event sources. It guarantees that Argo
// Events can follow what it accepts.
package schedule

import (
	"fmt"
	"strings"
	"time"
	// Names of time zones mean the same wherever the program runs.
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

// shorthands are the expressions that Argo Events does not know, in fields.
func shorthands() map[string]string {
	return map[string]string{
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
	}
}

// Fields returns a cron expression with its five fields; @daily and the like are
// spelt out.
func Fields(expression string) string {
	if fields, ok := shorthands()[expression]; ok {
		return fields
	}
	return expression
}

// CheckCron returns what is wrong with a cron expression.
func CheckCron(expression string) error {
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	parsed, err := parser.Parse(Fields(expression))
	if err != nil {
		return fmt.Errorf("it is no cron expression: %w", err)
	}
	// From any day it would have to come within some years. Argo Events would not
	// wait for ever, but send one event after the other.
	if parsed.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fmt.Errorf("the day never comes: choose one that the month has")
	}
	return nil
}

// CheckTimezone returns what is wrong with the name of a time zone.
func CheckTimezone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fmt.Errorf("there is no such time zone: write a name of the tz database, as Europe/Berlin")
	}
	return nil
}

// ExclusionDay returns the day of a date, or date and time, in ISO 8601 in the
// form that Argo Events reads; false when there is no such day.
func ExclusionDay(date string) (string, bool) {
	day, _, _ := strings.Cut(strings.ReplaceAll(date, " ", "T"), "T")
	day = strings.ReplaceAll(day, "-", "")
	if _, err := time.Parse("20060102", day); err != nil {
		return "", false
	}
	return "EXDATE:" + day + "T000000Z", true
}
