package schedule

import (
	"strings"
	"testing"
)

func TestCheckCron(t *testing.T) {
	tests := map[string]struct{ expression, want string }{
		"of the user guide":  {expression: "0 17 * * 1-5"},
		"names":              {expression: "*/5 8-18 1,15 JAN-MAR MON"},
		"once in four years": {expression: "0 0 29 2 *"},
		"daily":              {expression: "@daily"},
		"no such minute":     {expression: "60 * * * *", want: "not a cron expression"},
		"no such weekday":    {expression: "0 0 * * 8", want: "not a cron expression"},
		"four fields":        {expression: "0 0 * *", want: "not a cron expression"},
		"no such day":        {expression: "0 0 31 2,4,6,9,11 *", want: "never comes"},
	}
	for shorthand := range shorthands() {
		tests[shorthand] = struct{ expression, want string }{expression: shorthand}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := CheckCron(test.expression)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("CheckCron(%q) = %v, want %q", test.expression, err, test.want)
			}
		})
	}
}

func TestCheckTimezone(t *testing.T) {
	for name, want := range map[string]bool{"": true, "UTC": true, "Europe/Berlin": true, "Asia/Shanghai": true, "Europe/Berln": false, "Local": false} {
		if err := CheckTimezone(name); (err == nil) != want {
			t.Errorf("CheckTimezone(%q) = %v", name, err)
		}
	}
}

func TestExclusionDay(t *testing.T) {
	tests := map[string]string{
		"2024-12-24": "EXDATE:20241224T000000Z", "20241224": "EXDATE:20241224T000000Z", "2024-12-24T17:00:00Z": "EXDATE:20241224T000000Z",
		"2024-12-24 17:00": "EXDATE:20241224T000000Z", "2024-02-29": "EXDATE:20240229T000000Z", "2023-02-29": "", "2024-06-31": "", "2024": "", "": "",
	}
	for date, want := range tests {
		if got, ok := ExclusionDay(date); got != want || ok != (want != "") {
			t.Errorf("ExclusionDay(%q) = %q, %v; want %q", date, got, ok, want)
		}
	}
}
