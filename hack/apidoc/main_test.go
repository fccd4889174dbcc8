package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"nautes.io/nautes/hack/apidoc/constants"
)

const moduleRoot = "../.."

func TestPagesAreUpToDate(t *testing.T) {
	pages, err := render(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		have, err := os.ReadFile(filepath.Join(moduleRoot, pagesDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(have)); diff != "" {
			t.Errorf("%s is not what the API says: run `make generate` (-generated +file):\n%s", name, diff)
		}
	}
}

func TestPagesAreDeterministic(t *testing.T) {
	first, err := render(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := render(moduleRoot)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("a second run gives other pages (-first +again):\n%s", diff)
		}
	}
}

// Every cell is closed and every row has the columns of its table: a pipe in a
// pattern would break it.
func TestTablesAreWhole(t *testing.T) {
	pages, err := render(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		columns := 0
		for i, line := range strings.Split(string(page), "\n") {
			if !strings.HasPrefix(line, "|") {
				columns = 0
				continue
			}
			cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
			if columns == 0 {
				columns = cells
			}
			if cells != columns {
				t.Errorf("%s:%d has %d cells, its table %d:\n%s", name, i+1, cells-1, columns-1, line)
			}
		}
	}
}

func TestMeaning(t *testing.T) {
	all := []constants.Constant{
		{Name: "LabelManagedBy", Value: "app/managed-by", Comment: "LabelManagedBy has the value ManagedBy on every object.\n"},
		{Name: "ManagedBy", Value: "nautes", Comment: "ManagedBy is the value of LabelManagedBy.\n"},
		{Name: "ReasonInvalid", Value: "Invalid", Comment: "ReasonInvalid: a rule is broken;\nthe message has <it>.\n"},
	}
	for name, tt := range map[string]struct {
		of   constants.Constant
		want string
	}{
		"another constant": {all[0], "Has the value `nautes` on every object."},
		"its comment":      {all[1], "The value of `app/managed-by`."},
		"a field ahead":    {constants.Constant{Name: "ReasonS", Value: "S", Comment: "ReasonS: spec.suspend stops."}, "spec.suspend stops."},
		"a reason":         {all[2], "A rule is broken; the message has &lt;it>."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := meaning(tt.of, all); got != tt.want {
				t.Errorf("meaning is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFieldsInWords(t *testing.T) {
	text := &schema{Type: "string"}
	set := "set"
	one, most, count, preserved := 1.0, 65535.0, int64(64), true
	for name, tt := range map[string]struct {
		of        *schema
		wantType  string
		wantRules []string
	}{
		"a number in a range": {
			of:       &schema{Type: "integer", Minimum: &one, Maximum: &most},
			wantType: "integer", wantRules: []string{"• from 1 to 65535"},
		},
		"anything": {of: &schema{XPreserveUnknownFields: &preserved}, wantType: "any JSON"},
		"a set": {
			of:       &schema{Type: "array", XListType: &set, MaxItems: &count, Items: &apiextensions.JSONSchemaPropsOrArray{Schema: text}},
			wantType: "set of string", wantRules: []string{"• at most 64"},
		},
		"a pattern in words":     {of: &schema{Type: "string", Pattern: `^(/([^~/]|~[01])*)+$`}, wantType: "string", wantRules: []string{"• a JSON pointer"}},
		"a pattern without them": {of: &schema{Type: "string", Pattern: `^a|b$`}, wantType: "string", wantRules: []string{"• matches `^a\\|b$`"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := typeOf(tt.of); got != tt.wantType {
				t.Errorf("type is %q, want %q", got, tt.wantType)
			}
			if diff := cmp.Diff(tt.wantRules, rulesOf(tt.of)); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}
