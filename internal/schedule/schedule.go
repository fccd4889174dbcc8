// Package schedule checks the calendars of event sources. It guarantees that Argo
// Events can follow an accepted one.
package schedule

import (
	"fmt"
	"slices"
	"strconv"
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
		return fmt.Errorf("it is not a cron expression: %w%s", err, sunday(expression))
	}
	// Next gives up after some years. For a day that never comes, Argo Events would
	// send one event after the other.
	if parsed.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fmt.Errorf("the day never comes: choose a day of the month")
	}
	return nil
}

// sunday returns advice about a day of the week that some programs call 7, or "".
func sunday(expression string) string {
	fields := strings.Fields(expression)
	if len(fields) != 5 || !strings.Contains(fields[4], "7") {
		return ""
	}
	return "; the days of the week are 0 to 6, and 0 is Sunday: write 0 instead of 7"
}

// CheckTimezone returns an error if there is no time zone of that name.
func CheckTimezone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fmt.Errorf("there is no such time zone: write a name of the tz database, for example Europe/Berlin")
	}
	return nil
}

// Exclusion is a time without events.
type Exclusion struct {
	// Day is the whole day, in the form that Argo Events reads, or empty.
	Day string
	// From and To are the beginning and the end of a part of a day, in seconds since
	// 1970; the end does not belong to it.
	From, To int64
}

// ParseExclusion returns the time that a date, or a date with time, excludes. It is a
// day, an hour or a minute, whichever is written. A time without an offset is in the
// timezone.
func ParseExclusion(date, timezone string) (Exclusion, error) {
	day, clock, timed := strings.Cut(strings.ReplaceAll(date, " ", "T"), "T")
	parsed, err := time.Parse("20060102", strings.ReplaceAll(day, "-", ""))
	if err != nil {
		return Exclusion{}, fmt.Errorf("there is no such day: write a date or a date and time, for example 2024-12-24 or 2024-12-24T17:00:00Z")
	}
	if !timed {
		return Exclusion{Day: "EXDATE:" + parsed.Format("20060102") + "T000000Z"}, nil
	}
	zone, err := time.LoadLocation(timezone)
	if err != nil {
		zone = time.UTC
	}
	clock, zone, err = offset(clock, zone)
	if err != nil {
		return Exclusion{}, err
	}
	digits := strings.ReplaceAll(clock, ":", "")
	hour, minute, length := 0, 0, time.Hour
	if hour, err = strconv.Atoi(digits[:min(2, len(digits))]); err == nil && len(digits) >= 4 {
		minute, err = strconv.Atoi(digits[2:4])
		length = time.Minute
	}
	if err != nil || hour > 24 || minute > 59 || hour == 24 && minute > 0 {
		return Exclusion{}, fmt.Errorf("there is no such time of day: write hours and minutes, for example 2024-12-24T17:00:00Z")
	}
	from := time.Date(parsed.Year(), parsed.Month(), parsed.Day(), hour, minute, 0, 0, zone)
	return Exclusion{From: from.Unix(), To: from.Add(length).Unix()}, nil
}

// Exclusions returns the days that dates exclude, for Argo Events, and begin and end of
// each other time. It ignores dates that cannot be read.
func Exclusions(dates []string, timezone string) (days []string, times []int64) {
	for _, date := range dates {
		switch excluded, err := ParseExclusion(date, timezone); {
		case err != nil:
		case excluded.Day == "":
			times = append(times, excluded.From, excluded.To)
		case !slices.Contains(days, excluded.Day):
			days = append(days, excluded.Day)
		}
	}
	return days, times
}

// offset cuts the offset from UTC off a time of day.
func offset(clock string, zone *time.Location) (string, *time.Location, error) {
	if cut, isUTC := strings.CutSuffix(clock, "Z"); isUTC {
		return cut, time.UTC, nil
	}
	at := strings.IndexAny(clock, "+-")
	if at < 0 {
		return clock, zone, nil
	}
	digits := (strings.ReplaceAll(clock[at+1:], ":", "") + "0000")[:4]
	hours, hoursErr := strconv.Atoi(digits[:2])
	minutes, minutesErr := strconv.Atoi(digits[2:])
	if hoursErr != nil || minutesErr != nil || hours > 14 || minutes > 59 {
		return "", nil, fmt.Errorf("there is no such offset from UTC: write, for example, +01:00")
	}
	seconds := hours*3600 + minutes*60
	if clock[at] == '-' {
		seconds = -seconds
	}
	return clock[:at], time.FixedZone("", seconds), nil
}
