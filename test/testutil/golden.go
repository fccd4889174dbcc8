package testutil

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/plan"
)

// A flag must be declared before the test binary parses its arguments.
var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Golden compares got with the file testdata/<name>; the flag -update writes it.
func Golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read the golden file: %v; run the test with -update to write it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got), run the test with -update if that is intended:\n%s", path, diff)
	}
}

// SetsYAML returns sets as YAML documents: for each set its owner and target,
// for each item its stage, source and secrets and the object without its status,
// the data of Secrets as text, or the body.
func SetsYAML(sets ...plan.Set) ([]byte, error) { return encodeSets(yaml.Marshal, sets) }

// SetsJSON is SetsYAML with a line of JSON for each document, for tests that compare many
// sets: YAML takes ten times as long.
func SetsJSON(sets ...plan.Set) ([]byte, error) {
	return encodeSets(func(content any) ([]byte, error) {
		text, err := json.Marshal(content)
		return append(text, '\n'), err
	}, sets)
}

func encodeSets(marshal func(any) ([]byte, error), sets []plan.Set) ([]byte, error) {
	var out bytes.Buffer
	for _, set := range sets {
		fmt.Fprintf(&out, "# %s on %s\n", set.Owner, set.Target)
		for _, id := range set.Keep {
			fmt.Fprintf(&out, "# keep %s\n", id)
		}
		for _, item := range set.Items {
			fmt.Fprintf(&out, "---\n# stage %d, asked for by %s\n", item.Stage, item.Source)
			if item.IfAbsent {
				out.WriteString("# if there is none\n")
			}
			for _, value := range item.Secrets {
				fmt.Fprintf(&out, "# %s <- %s %s", value.Key, value.Ref, value.Field)
				if value.Format != "" {
					fmt.Fprintf(&out, " as %s", value.Format)
				}
				if value.Optional {
					out.WriteString(" if it is there")
				}
				if value.Subject != "" {
					fmt.Fprintf(&out, " for %s", value.Subject)
				}
				out.WriteString("\n")
			}
			if item.Object == nil {
				text, err := marshal(item.Body)
				if err != nil {
					return nil, fmt.Errorf("marshal %s: %w", item.ID, err)
				}
				fmt.Fprintf(&out, "# %s\n%s", item.ID, text)
				continue
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item.Object)
			if err != nil {
				return nil, fmt.Errorf("convert %s: %w", item.ID, err)
			}
			delete(content, "status")
			readable(content)
			unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
			text, err := marshal(content)
			if err != nil {
				return nil, fmt.Errorf("marshal %s: %w", item.ID, err)
			}
			out.Write(text)
		}
	}
	return out.Bytes(), nil
}

// readable turns the data of a Secret into text.
func readable(content map[string]any) {
	data, ok := content["data"].(map[string]any)
	if !ok || content["kind"] != "Secret" {
		return
	}
	text := map[string]any{}
	for key, value := range data {
		decoded, err := base64.StdEncoding.DecodeString(fmt.Sprint(value))
		if err != nil {
			return
		}
		text[key] = string(decoded)
	}
	delete(content, "data")
	content["stringData"] = text
}
