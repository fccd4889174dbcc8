package validate

import (
	"errors"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) product(p *v1alpha1.Product) {
	c.ofTenant(p)
	at := field.NewPath("spec", "name")
	if !snapshot.ValidGroup(p.Spec.Name) {
		c.fail(RuleGroup, v1alpha1.ReasonInvalid, at, p.Spec.Name,
			"it is not the path of a group: use letters, digits, '.', '_' and '-', groups separated by '/'")
		return
	}
	if first := c.s.ProductByName(p.Spec.Name); first != nil && first.Name != p.Name {
		c.fail(RuleGroupTaken, v1alpha1.ReasonInvalid, at, p.Spec.Name,
			"%s is the product of the group %s already: delete one of the two, or name another group", snapshot.RefOf(first), p.Spec.Name)
	}
}

func (c *checker) productProvider(p *v1alpha1.ProductProvider) {
	c.ofTenant(p)
	if c.s.CodeRepoProvider(p.Spec.Name) == nil {
		c.missing(field.NewPath("spec", "name"), "CodeRepoProvider", c.s.Namespace, p.Spec.Name)
	}
}

func (c *checker) codeRepoProvider(p *v1alpha1.CodeRepoProvider) {
	c.ofTenant(p)
	if p.Spec.SSHAddress == "" && p.Spec.HTTPAddress == "" {
		c.fail(RuleAddress, v1alpha1.ReasonInvalid, field.NewPath("spec", "httpAddress"), "",
			"the provider has no address that repositories are cloned from: set spec.sshAddress or spec.httpAddress")
	}
	for _, address := range []struct{ name, value string }{
		{"httpAddress", p.Spec.HTTPAddress}, {"sshAddress", p.Spec.SSHAddress},
	} {
		if address.value == "" {
			continue
		}
		if err := snapshot.CheckAddress(address.value); err != nil {
			// The value is left out: it may hold a credential.
			c.fail(RuleAddress, v1alpha1.ReasonInvalid, field.NewPath("spec", address.name), field.OmitValueType{}, "%s", err)
		}
	}
	for _, text := range []struct {
		name, value string
		check       func(string) error
	}{{"caBundle", p.Spec.CABundle, gitaccess.CheckCABundle}, {"knownHosts", p.Spec.KnownHosts, gitaccess.CheckKnownHosts}} {
		if err := text.check(text.value); err != nil {
			c.fail(RuleAddress, v1alpha1.ReasonInvalid, field.NewPath("spec", text.name), field.OmitValueType{}, "%s", err)
		}
	}
}

// repositoryURL records the error that keeps a code repository from having a URL.
func (c *checker) repositoryURL(at *field.Path, value any, r *v1alpha1.CodeRepo) {
	_, err := c.s.RepositoryURL(r)
	var missing *snapshot.MissingError
	var wrong *snapshot.RepositoryError
	switch {
	case err == nil:
	case errors.As(err, &missing):
		c.fail(RuleReference, v1alpha1.ReasonReferenceMissing, at, value, "%s", err)
	case errors.As(err, &wrong):
		c.fail(RuleRepositoryUsable, wrong.Reason(), at, value, "%s", err)
	default:
		c.fail(RuleRepositoryUsable, v1alpha1.ReasonInvalid, at, value, "%s", err)
	}
}
