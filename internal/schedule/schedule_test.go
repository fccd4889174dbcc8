package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestCheckCron(t *testing.T) {
	tests := map[string]struct{ expression, want string }{
		"of the user guide":  {expression: "0 17 * * 1-5"},
		"names":              {expression: "*/5 8-18 1,15 JAN-MAR MON"},
		"once in four years": {expression: "0 0 29 2 *"},
		"daily":              {expression: "@daily"},
		"no such minute":     {expression: "60 * * * *", want: "not a cron expression"},
		"no such weekday":    {expression: "0 0 * * 8", want: "not a cron expression"},
		"Sunday as 7":        {expression: "0 9 * * 7", want: "0 is Sunday: write 0 instead of 7"},
		"a week to 7":        {expression: "0 9 * * 2-7", want: "0 is Sunday: write 0 instead of 7"},
		"the last day":       {expression: "0 0 L * *", want: "not a cron expression"},
		"a working day":      {expression: "0 0 15W * *", want: "not a cron expression"},
		"the second Monday":  {expression: "0 0 * * 1#2", want: "not a cron expression"},
		"an interval":        {expression: "@every 1h", want: "not a cron expression"},
		"seconds":            {expression: "0 0 0 * * *", want: "not a cron expression"},
		"31 February":        {expression: "0 0 31 2 *", want: "never comes"},
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

func TestParseExclusion(t *testing.T) {
	const berlin = "Europe/Berlin"
	at := func(text string, length time.Duration) Exclusion {
		from, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return Exclusion{From: from.Unix(), To: from.Add(length).Unix()}
	}
	day := Exclusion{Day: "EXDATE:20241224T000000Z"}
	tests := map[string]struct {
		date, timezone string
		want           Exclusion
		wantError      bool
	}{
		"a day":                {"2024-12-24", "", day, false},
		"a day in a zone":      {"2024-12-24", berlin, day, false},
		"a basic day":          {"20241224", "", day, false},
		"a leap day":           {"2024-02-29", "", Exclusion{Day: "EXDATE:20240229T000000Z"}, false},
		"no leap day":          {"2023-02-29", "", Exclusion{}, true},
		"no day and a time":    {"2023-02-29T17:00:00Z", "", Exclusion{}, true},
		"an instant":           {"2024-12-24T17:00:00Z", "", at("2024-12-24T17:00:00Z", time.Minute), false},
		"in another zone":      {"2024-12-24T23:00:00Z", berlin, at("2024-12-24T23:00:00Z", time.Minute), false},
		"in the zone":          {"2024-12-25T00:00", berlin, at("2024-12-24T23:00:00Z", time.Minute), false},
		"in summer":            {"2024-07-01 17:00", berlin, at("2024-07-01T15:00:00Z", time.Minute), false},
		"an offset":            {"2024-12-24T17:00:30+05:30", berlin, at("2024-12-24T11:30:00Z", time.Minute), false},
		"an offset of hours":   {"2024-12-24T17:00-03", "", at("2024-12-24T20:00:00Z", time.Minute), false},
		"an hour":              {"2024-12-24T17", "", at("2024-12-24T17:00:00Z", time.Hour), false},
		"an hour in UTC":       {"2024-12-24T17Z", berlin, at("2024-12-24T17:00:00Z", time.Hour), false},
		"the end of a day":     {"2024-12-24T24:00", "", at("2024-12-25T00:00:00Z", time.Minute), false},
		"after a day":          {"2024-12-24T24:01", "", Exclusion{}, true},
		"basic form":           {"20241224T1730Z", "", at("2024-12-24T17:30:00Z", time.Minute), false},
		"parts of a second":    {"2024-12-24T17:00:00.123Z", "", at("2024-12-24T17:00:00Z", time.Minute), false},
		"an impossible offset": {"2024-12-24T17:00+99:00", "", Exclusion{}, true},
		"nothing":              {"", "", Exclusion{}, true},
		"a year":               {"2024", "", Exclusion{}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseExclusion(tt.date, tt.timezone)
			if got != tt.want || (err != nil) != tt.wantError {
				t.Errorf("ParseExclusion = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzParseExclusion(f *testing.F) {
	for _, seed := range []string{"2024-12-24", "2024-12-24T17:00:00Z", "20241224T1730+0130", "T", "2024-12-24T", "2024-12-24T+1"} {
		f.Add(seed, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, date, timezone string) {
		got, err := ParseExclusion(date, timezone)
		if err == nil && got.Day == "" && got.To <= got.From {
			t.Errorf("ParseExclusion(%q) = %+v", date, got)
		}
	})
}
