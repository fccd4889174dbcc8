package vault

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
)

// Options configure the connection to a Vault.
type Options struct {
	// Vault is the operator's configuration, with its defaults. Its CABundleFile is
	// not read.
	config.Vault
	// CABundle holds the trusted certificate authorities in PEM. Default: the
	// authorities of the system.
	CABundle []byte
	// Tenant is a part of the marks of everything that is made. A DNS label.
	Tenant string
	// OnChange is called with each secret in use that has another version, appears
	// or disappears, no matter who changed it. It must not block.
	OnChange func(secrets.Ref)
	// OnState is called when Vault cannot be used any longer (false), and when it
	// can be used again (true). It must not block, nor use the Vault.
	OnState func(healthy bool)
	// Log receives the reason when Vault cannot be used, without Vault's own words.
	Log logr.Logger
}

// Open returns the Vault of the options. It sends no request: the login follows
// with the first one. The error names the option that is wrong.
func Open(o Options) (*Vault, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("the options of Vault: %w", err)
	}
	client, transport, err := newClient(o)
	if err != nil {
		return nil, fmt.Errorf("the options of Vault: %w", err)
	}
	v := &Vault{
		o: o, client: client, transport: transport,
		versions: versions{interval: o.PollInterval.Duration, refs: map[secrets.Ref]*tracked{}},
		policies: policies{turn: semaphore.NewWeighted(1)},
	}
	v.life, v.end = context.WithCancel(context.Background())
	return v, nil
}

// check checks the options and sets the callbacks that are missing.
func (o *Options) check() error {
	if o.OnChange == nil {
		o.OnChange = func(secrets.Ref) {}
	}
	if o.OnState == nil {
		o.OnState = func(bool) {}
	}
	if len(validation.IsDNS1123Label(o.Tenant)) > 0 {
		return fmt.Errorf("the tenant %q must be a DNS label", o.Tenant)
	}
	return o.Validate()
}
