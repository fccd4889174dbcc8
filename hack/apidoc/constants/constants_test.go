package constants_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/hack/apidoc/constants"
)

func TestRead(t *testing.T) {
	for name, tt := range map[string]struct {
		source  string
		want    []constants.Constant
		wantErr string
	}{
		"two":          {source: "// A is one.\nA = \"a\"\n// B is two.\nB = \"b\"", want: []constants.Constant{{Name: "A", Value: "a", Comment: "A is one.\n"}, {Name: "B", Value: "b", Comment: "B is two.\n"}}},
		"no comment":   {source: "A = \"a\"", wantErr: "the constant A has no comment"},
		"not a text":   {source: "// A is one.\nA = 1", wantErr: "the constant A is not one text"},
		"two at once":  {source: "// A and B.\nA, B = \"a\", \"b\"", wantErr: "the constant A is not one text"},
		"no value":     {source: "// A is.\nA", wantErr: "the constant A is not one text"},
		"not a source": {source: "A =", wantErr: "expected"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "constants.go")
			if err := os.WriteFile(path, []byte("package p\n\nconst (\n"+tt.source+"\n)\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := constants.Read(path)
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Fatalf("error %v, want %q", err, tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("constants (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParagraph(t *testing.T) {
	c := constants.Constant{Comment: "A is one.\n\nExample: it is\nin two lines\n\nRemedy: none\n"}
	for label, want := range map[string]string{"Example: ": "it is in two lines", "Remedy: ": "none", "Other: ": ""} {
		if got := c.Paragraph(label); got != want {
			t.Errorf("%s%q, want %q", label, got, want)
		}
	}
}
