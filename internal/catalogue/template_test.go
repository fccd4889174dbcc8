package catalogue

import (
	stdcmp "cmp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func values(name string) any {
	return map[string]any{
		"text": "a", "number": int64(30080), "yes": true, "hostile": "$(text)\n{{ .Values }}: [", "empty": "",
	}[name]
}

func TestTemplate(t *testing.T) {
	tests := map[string]struct {
		text string
		want any
		// wantErr is a part of the error; empty if there is none.
		wantErr string
	}{
		"nothing":                    {text: "", want: ""},
		"plain":                      {text: "a (b) $c $", want: "a (b) $c $"},
		"one string":                 {text: "$(text)", want: "a"},
		"one number":                 {text: "$(number)", want: int64(30080)},
		"one boolean":                {text: "$(yes)", want: true},
		"one that is not set":        {text: "$(none)", want: nil},
		"within a text":              {text: "x-$(text)-$(number)-$(yes)-$(none)-y", want: "x-a-30080-true--y"},
		"two":                        {text: "$(text)$(text)", want: "aa"},
		"an escaped mark":            {text: "$$(text)", want: "$(text)"},
		"two dollars before a mark":  {text: "$$$(text)", want: "$$(text)"},
		"escaped and not":            {text: "$$(text)$(text)", want: "$(text)a"},
		"a value is not read again":  {text: "$(hostile)", want: "$(text)\n{{ .Values }}: ["},
		"nor within a text":          {text: "x$(hostile)", want: "x$(text)\n{{ .Values }}: ["},
		"nor do values make a mark":  {text: "$(dollar)(text)", want: "(text)"},
		"a mark that is not closed":  {text: "x $(text", wantErr: "not closed"},
		"a mark within a reference":  {text: "$(a$(text))", want: ")"},
		"an empty value is a string": {text: "$(empty)", want: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			parsed, err := parseText(test.text)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("parseText() = %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, parsed.value(values)); diff != "" {
				t.Errorf("value() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTree(t *testing.T) {
	reader := compiler{known: func(name string) string {
		if values(name) == nil && name != "none" {
			return "there is none"
		}
		return ""
	}}
	at := field.NewPath("values")
	compiled := reader.tree(map[string]any{
		"$(text)": "keys are no references: $$(text)",
		"list":    []any{"$(number)", "$(none)", int64(1), 1.5, true, map[string]any{"deep": "$(yes)"}},
		"gone":    "$(none)", "null": nil, "kept": "x$(none)",
	}, at)
	if len(reader.errs) > 0 {
		t.Fatal(reader.errs)
	}
	got, set := expand(compiled, values)
	want := map[string]any{
		"$(text)": "keys are no references: $(text)",
		"list":    []any{int64(30080), int64(1), 1.5, true, map[string]any{"deep": true}},
		"kept":    "x",
	}
	if diff := cmp.Diff(any(want), got); diff != "" || !set {
		t.Errorf("expand() (-want +got):\n%s", diff)
	}
	// expand returns a copy, so that no caller can change the catalogue.
	got.(map[string]any)["list"].([]any)[0] = "changed"
	if again, _ := expand(compiled, values); cmp.Diff(any(want), again) != "" {
		t.Error("a change of an expanded value changed the compiled value")
	}

	reader.tree(map[string]any{"a": []any{"x", "$(wrong)"}, "b": map[string]any{"c": "$(open"}}, at)
	var paths []string
	for _, err := range reader.errs {
		paths = append(paths, err.Field)
	}
	if diff := cmp.Diff([]string{"values.a[1]", "values.b.c"}, paths, cmpopts.SortSlices(stdcmp.Less[string])); diff != "" {
		t.Errorf("paths of errors (-want +got):\n%s", diff)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"", "a", "$", "$(", "$()", "$(a)", "$$(a)", "$$$(a)", "$($(a))", "x$(a)y$(b)z", "$(a", ")", "$$", "$$(", "a: [b]\n{{ . }}", "\x00\xff$(\xff)",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		// An escaped text is literal.
		escaped, err := parseText(strings.ReplaceAll(text, "$(", "$$("))
		if err != nil {
			t.Fatalf("an escaped text is refused: %s", err)
		}
		if got := escaped.value(values); !escaped.literal() || got != any(text) {
			t.Fatalf("escaped %q became %q", text, got)
		}
		parsed, err := parseText(text)
		if !strings.Contains(text, "$(") {
			if err != nil || parsed.value(values) != any(text) {
				t.Fatalf("%q has no references and became %v, %v", text, parsed, err)
			}
		}
		if err != nil {
			return
		}
		// The result has the literal parts in their order, and the unchanged values
		// between them.
		var want strings.Builder
		for _, p := range parsed {
			if p.reference {
				want.WriteString(value)
			} else {
				want.WriteString(p.text)
			}
		}
		got, ok := parsed.value(func(string) any { return value }).(string)
		if !ok || got != want.String() {
			t.Fatalf("%q with %q = %q, want %q", text, value, got, want.String())
		}
		// The text of a template parses to the same template.
		var written strings.Builder
		for _, p := range parsed {
			if p.reference {
				written.WriteString("$(" + p.text + ")")
			} else {
				written.WriteString(strings.ReplaceAll(p.text, "$(", "$$("))
			}
		}
		again, err := parseText(written.String())
		if diff := cmp.Diff(parsed, again, cmp.AllowUnexported(part{})); err != nil || diff != "" {
			t.Fatalf("%q, written as %q, reads otherwise: %v\n%s", text, written.String(), err, diff)
		}
	})
}
