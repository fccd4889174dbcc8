package devstack

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Nothing here runs ApplicationSets, and their CRD is larger than all others
// together.
func TestApplicationSetsAreLeftOut(t *testing.T) {
	t.Parallel()
	dir, err := ArgoCDCRDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, applicationSets)); err != nil {
		t.Fatalf("what is to be left out is not there: %v", err)
	}
	crds, err := readCRDs(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, crd := range crds {
		names = append(names, crd.Name)
	}
	if want := []string{"applications.argoproj.io", "appprojects.argoproj.io"}; !slices.Equal(names, want) {
		t.Errorf("the CRDs of Argo CD are %v, want %v", names, want)
	}
}
