package validate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRules lists every rule with its class, and holds that each is used.
func TestRules(t *testing.T) {
	want := map[string]bool{
		"RuleReference": true, "RuleInUse": true, "RuleClusterKind": true, "RuleClusterTwin": true, "RuleDestinationFixed": true,
		"RuleNamespaceTaken": true, "RuleGrant": true, "RuleRepositoryUsable": true, "RulePortTaken": true, "RuleSameManifests": true,
		"RuleEventSource": true, "RuleHookUse": true, "RuleHookVariables": true,

		"RuleOwnNamespace": false, "RuleOwnProduct": false, "RuleRepositoryURL": false, "RuleSystemNamespace": false,
		"RuleComponentNamespace": false, "RuleAccountName": false, "RuleClusterName": false, "RuleHostCluster": false,
		"RuleComponents": false, "RulePortTwice": false, "RulePattern": false, "RuleGroup": false, "RuleGroupTaken": false,
		"RuleAddress": false, "RuleManifestPath": false, "RuleCatalogueName": false, "RuleEventFilter": false,
		"RuleHookDefinition": false, "RuleHookNames": false, "RuleHookBuiltIns": false,
	}
	got, used := map[string]bool{}, map[string]bool{}
	set := token.NewFileSet()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "Rule" {
					value := n.Values[0].(*ast.BasicLit).Value
					got[n.Names[0].Name] = Rule(strings.Trim(value, `"`)).Skippable()
				}
			case *ast.CallExpr:
				for _, argument := range n.Args {
					if name, ok := argument.(*ast.Ident); ok && strings.HasPrefix(name.Name, "Rule") {
						used[name.Name] = true
					}
				}
			}
			return true
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name := range got {
		if !used[name] {
			t.Errorf("no check breaks %s", name)
		}
	}
}
