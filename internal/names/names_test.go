package names

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestQualified(t *testing.T) {
	tests := map[string]struct {
		product, name string
		want          string
	}{
		"plain":                                {product: "product-1", name: "dr-dev", want: "product-1-dr-dev"},
		"a dash in the id":                     {product: "product-a-b", name: "c", want: "product-a-b-c-1e66b83411"},
		"what that would be":                   {product: "product-a", name: "b-c", want: "product-a-b-c"},
		"no id":                                {product: "product-", name: "c", want: "product--c-0"},
		"no product's id":                      {product: "team", name: "c", want: "team-c-0"},
		"as long as a name can be":             {product: "product-1", name: strings.Repeat("n", 53), want: "product-1-" + strings.Repeat("n", 53)},
		"longer":                               {product: "product-1", name: strings.Repeat("n", 54), want: "product-1-" + strings.Repeat("n", 42) + "-0"},
		"cut at a dash":                        {product: "product-1", name: strings.Repeat("n", 41) + "-tail-that-is-cut", want: "product-1-" + strings.Repeat("n", 41) + "-0"},
		"as if it ended in a hash":             {product: "product-1", name: "b-0123456789", want: "product-1-b-0123456789-0"},
		"as if it were a hash":                 {product: "product-1", name: "0123456789", want: "product-1-0123456789-0"},
		"not quite a hash":                     {product: "product-1", name: "b-012345678g", want: "product-1-b-012345678g"},
		"ten letters that are no hexadecimals": {product: "product-1", name: "deployment", want: "product-1-deployment"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Qualified(test.product, test.name)
			want, hashed := strings.CutSuffix(test.want, "-0")
			if hashed {
				// Any hash will do here.
				if !strings.HasPrefix(got, want+"-") || len(got) != len(want)+1+hashLength || !endsInHash(got) {
					t.Errorf("qualified = %q, want %q and a hash", got, want)
				}
				return
			}
			if got != test.want {
				t.Errorf("qualified = %q, want %q", got, test.want)
			}
		})
	}
}

func TestAccountBinding(t *testing.T) {
	long := strings.Repeat("a", 63)
	if got := AccountBinding("app"); got != "nautes-account-app" {
		t.Errorf("accountBinding(app) = %q", got)
	}
	if got := AccountBinding(long); len(got) > maxName || !endsInHash(got) {
		t.Errorf("accountBinding of a long name = %q", got)
	}
	if AccountBinding("product") == GroupBinding {
		t.Errorf("an account can take the name of the group's binding")
	}
}

// TestPipelineNames holds that the names of two pipeline runtimes differ, also where they
// are cut.
func TestPipelineNames(t *testing.T) {
	long := strings.Repeat("n", 62)
	taken := map[string]string{}
	for _, runtime := range []string{"r", "r-resources", "pipeline-r", "0123456789", long + "a", long + "b"} {
		for what, name := range map[string]string{
			"Application": Application("product-1", runtime), "resources": ResourcesApplication("product-1", runtime),
			"credentials": PipelineCredentials(runtime), "synced credentials": SyncedCredentials(runtime), "role": SensorRole(runtime),
			"account": AccountBinding(runtime),
		} {
			if other, ok := taken[name]; ok {
				t.Errorf("%s of %s and %s are both %s", what, runtime, other, name)
			}
			taken[name] = what + " of " + runtime
			if len(name) > maxName || len(validation.IsDNS1123Subdomain(name)) > 0 {
				t.Errorf("%s of %s is %s", what, runtime, name)
			}
		}
	}
}

// FuzzNames holds that no two tuples have one name, and that every name is one
// that Kubernetes takes.
func FuzzNames(f *testing.F) {
	f.Add("product-a", "b-c", "product-a-b", "c")
	f.Add("product-1", "dr-dev", "product-12", "dr-dev")
	f.Add("product-1", "0123456789", "product-1", "b-0123456789")
	f.Add("product-"+strings.Repeat("x", 44), "0123456789", "product-"+strings.Repeat("x", 50), "r")
	f.Add("product-1", strings.Repeat("n", 60), "product-1", strings.Repeat("n", 61))
	// Equal when the two parts are put together, and where the names are cut.
	f.Add("product-"+strings.Repeat("x", 46)+"ab", "c-is-a-longer-name", "product-"+strings.Repeat("x", 46)+"a", "bc-is-a-longer-name")
	f.Fuzz(func(t *testing.T, product, name, product2, name2 string) {
		for _, label := range []string{product, name, product2, name2} {
			if len(validation.IsDNS1123Label(label)) > 0 {
				t.Skip("the API takes labels only")
			}
		}
		first, second := Qualified(product, name), Qualified(product2, name2)
		if (first == second) != (product == product2 && name == name2) {
			t.Errorf("%s + %s and %s + %s are both %s", product, name, product2, name2, first)
		}
		if (AccountBinding(name) == AccountBinding(name2)) != (name == name2) {
			t.Errorf("the bindings of %s and %s are both %s", name, name2, AccountBinding(name))
		}
		for _, got := range []string{first, AccountBinding(name)} {
			if problems := validation.IsDNS1123Label(got); len(problems) > 0 {
				t.Errorf("%q is no name: %v", got, problems)
			}
		}
		// A second part that is made to look like another's hash.
		if at := strings.LastIndex(second, "-"); name2 != second[at+1:] && Qualified(second[:at], second[at+1:]) == second {
			t.Errorf("%s + %s is %s too", second[:at], second[at+1:], second)
		}
	})
}

func TestProduct(t *testing.T) {
	for name, want := range map[string]int64{
		"product-7": 7, "product-0": 0, "product-07": 0, "product--7": 0, "product-x": 0, "product-": 0, "7": 0, "shop": 0, "product-99999999999999999999": 0,
	} {
		if got := Group(name); got != want || want > 0 && Product(got) != name {
			t.Errorf("Group(%s) = %d, want %d", name, got, want)
		}
	}
}
