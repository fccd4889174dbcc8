package summary

import (
	"errors"
	"fmt"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// forgeRetry is the time after which a forge that did not answer is asked again, unless it
// asks to wait longer.
const forgeRetry = 10 * time.Second

// ForgeProblem returns the reason why the forge of a provider did not answer a request.
// Only a cause that a person must remove is terminal.
func ForgeProblem(provider string, err error) error {
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return engine.Terminal(v1alpha1.ReasonForgeDenied, "CodeRepoProvider %s: %s: store a token with the scope api at %s", provider, err, secrets.ProviderToken(provider))
	case errors.Is(err, client.ErrForbidden):
		return engine.Terminal(v1alpha1.ReasonForgeDenied,
			"CodeRepoProvider %s: %s: give the owner of the token the right, or store another token at %s", provider, err, secrets.ProviderToken(provider))
	}
	return &engine.Error{
		Class: engine.ClassWaiting, Reason: v1alpha1.ReasonForgeUnavailable, RetryAfter: max(forgeRetry, client.RetryAfter(err)),
		Message: fmt.Sprintf("CodeRepoProvider %s: %s; it is tried again", provider, err),
	}
}

// SetGroupPresent records whether the forge has the group of a product, as far as the
// ProductProvider that it comes from knows. It records nothing for another product.
func SetGroupPresent(facts *engine.Facts, snap *snapshot.Snapshot, p *v1alpha1.Product) {
	from := p.Labels[v1alpha1.LabelFrom]
	provider := snap.ProductProvider(from)
	if from == "" || provider == nil {
		return
	}
	for _, d := range provider.Status.Departures {
		if d.Product == p.Name {
			facts.False(v1alpha1.ConditionGroupPresent, d.Reason, d.Message)
			return
		}
	}
	facts.True(v1alpha1.ConditionGroupPresent, v1alpha1.ReasonPresent, fmt.Sprintf("group %s of ProductProvider %s", p.Spec.Name, from))
}

// tokenNotice is the time before the end of an access token from which on it is warned of.
const tokenNotice = 30 * 24 * time.Hour

// TokenWarning returns the warning that the access token of a provider ends soon, or an
// empty text. ends is zero for a token without an end.
func TokenWarning(provider string, ends, now time.Time) string {
	if ends.IsZero() || ends.Sub(now) > tokenNotice {
		return ""
	}
	return fmt.Sprintf("the access token of CodeRepoProvider %s ends on %s: store a new one at %s before",
		provider, ends.UTC().Format(time.DateOnly), secrets.ProviderToken(provider))
}
