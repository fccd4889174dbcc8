package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// mountType is the type of the auth mounts that we make.
const mountType = "kubernetes"

// authMount is what Vault says of an auth mount; the zero value says that there is none.
type authMount struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

func (m authMount) exists() bool { return m.Type != "" }

func (m authMount) ownedBy(tenant, cluster string) bool {
	return m.Type == mountType &&
		marked(m.Description, "tenant") == tenant && marked(m.Description, "cluster") == cluster
}

func (m authMount) foreign(name, tenant string) error {
	return &NotOursError{What: "the auth mount " + name, holder: holderOf(m.Description, tenant)}
}

// mount returns an auth mount.
func (v *Vault) mount(ctx context.Context, name string) (authMount, error) {
	r := request{what: "read the auth mount " + name, verb: read, path: "sys/auth/" + name}
	answer, err := v.do(ctx, r)
	var refused *failure
	switch {
	case err == nil:
		found := authMount{}
		return found, answer.into(r, &found)
	case errors.As(err, &refused) && (refused.absent || refused.status == http.StatusBadRequest || refused.status == http.StatusMethodNotAllowed):
		// So it says that there is none, among other things: the list is sure.
		return v.listed(ctx, r, name)
	}
	return authMount{}, err
}

func (v *Vault) listed(ctx context.Context, r request, name string) (authMount, error) {
	r.path = "sys/auth"
	answer, err := v.do(ctx, r)
	if err != nil {
		return authMount{}, err
	}
	mounts := map[string]authMount{}
	if err := answer.into(r, &mounts); err != nil {
		return authMount{}, err
	}
	return mounts[name+"/"], nil
}

// mountConfig is how a mount reviews tokens. What is not set here would let
// others in, and is put back when somebody has set it.
type mountConfig struct {
	Host                 string   `json:"kubernetes_host"`
	CA                   string   `json:"kubernetes_ca_cert"`
	PEMKeys              []string `json:"pem_keys"`
	Issuer               string   `json:"issuer"`
	DisableISSValidation bool     `json:"disable_iss_validation"`
	DisableLocalCAJWT    bool     `json:"disable_local_ca_jwt"`
}

func (c mountConfig) is(other mountConfig) bool {
	return c.Host == other.Host && c.CA == other.CA && c.Issuer == other.Issuer &&
		len(c.PEMKeys) == 0 && len(other.PEMKeys) == 0 &&
		c.DisableISSValidation == other.DisableISSValidation && c.DisableLocalCAJWT == other.DisableLocalCAJWT
}

// putMount makes a mount and configures it. What is in the configuration can be
// read, but for the reviewer's token: for that the mark tells its version, and is
// changed after the configuration, so that the next attempt ends what this one
// does not. A new mount has no configuration that could be taken for another.
func (v *Vault) putMount(ctx context.Context, body plan.VaultMount, resolve resolver) (changed bool, err error) {
	name := body.Path
	if err := checkName("mount", name); err != nil {
		return false, err
	}
	ca, _, err := resolve(body.CA)
	if err != nil {
		return false, err
	}
	reviewer, version, err := resolve(body.Reviewer)
	if err != nil {
		return false, err
	}
	if len(ca.Bytes()) == 0 || len(reviewer.Bytes()) == 0 {
		return false, fmt.Errorf("the auth mount %s: Vault needs a certificate authority in the kubeconfig of the cluster, and a token that reviews tokens", name)
	}
	if !reviewerShape.MatchString(version) {
		sum := sha256.Sum256([]byte(version))
		version = hex.EncodeToString(sum[:])
	}
	mark := mountMark(v.o.Tenant, name, version)
	found, err := v.mount(ctx, name)
	switch {
	case err != nil:
		return false, err
	case !found.exists():
		found = authMount{Type: mountType, Description: mark}
		if err := v.write0(ctx, "make the auth mount "+name, "sys/auth/"+name, found); err != nil {
			return false, err
		}
		changed = true
	case !found.ownedBy(v.o.Tenant, name):
		return false, found.foreign(name, v.o.Tenant)
	}
	want := mountConfig{Host: body.Host, CA: string(ca.Bytes()), DisableISSValidation: true, DisableLocalCAJWT: true}
	config, err := v.config(ctx, name)
	if err != nil {
		return changed, err
	}
	if !config.is(want) || found.Description != mark {
		changed = true
		err := v.write0(ctx, "configure the auth mount "+name, "auth/"+name+"/config", struct {
			mountConfig
			Reviewer string `json:"token_reviewer_jwt"`
		}{want, string(reviewer.Bytes())})
		if err != nil {
			return changed, err
		}
	}
	if found.Description != mark {
		err = v.write0(ctx, "mark the auth mount "+name, "sys/auth/"+name+"/tune", map[string]string{"description": mark})
	}
	return changed, err
}

// config returns the configuration of a mount; the zero value when it has none.
func (v *Vault) config(ctx context.Context, name string) (mountConfig, error) {
	r := request{what: "read the configuration of the auth mount " + name, verb: read, path: "auth/" + name + "/config"}
	answer, err := v.do(ctx, r)
	if err != nil || answer.Missing {
		return mountConfig{}, err
	}
	config := mountConfig{}
	return config, answer.into(r, &config)
}

// write0 writes, and wants to know no more than that it is done.
func (v *Vault) write0(ctx context.Context, what, path string, body any) error {
	_, err := v.do(ctx, request{what: what, verb: write, path: path, body: body})
	return err
}

// deleteMount removes a mount, with its roles and all tokens that it has given.
func (v *Vault) deleteMount(ctx context.Context, cluster, name string) (deleted bool, err error) {
	if err := checkName("mount", name); err != nil {
		return false, err
	}
	found, err := v.mount(ctx, name)
	if err != nil || !found.ownedBy(v.o.Tenant, cluster) {
		return false, err
	}
	_, err = v.do(ctx, request{what: "remove the auth mount " + name, verb: remove, path: "sys/auth/" + name, slow: true})
	return err == nil, err
}

// ourMount checks that a mount is there for roles, and ours.
func (v *Vault) ourMount(ctx context.Context, name string) error {
	if err := checkName("mount", name); err != nil {
		return err
	}
	found, err := v.mount(ctx, name)
	switch {
	case err != nil:
		return err
	case !found.exists():
		return fmt.Errorf("the auth mount %s is not there yet: %w", name, secrets.ErrNotFound)
	case !found.ownedBy(v.o.Tenant, name):
		return found.foreign(name, v.o.Tenant)
	}
	return nil
}
