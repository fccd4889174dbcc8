package vault

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/api/equality"

	"nautes.io/nautes/internal/plan"
)

// mountType is the type of the auth mounts of clusters.
const mountType = "kubernetes"

// authMount is an auth mount. The zero value means that there is none.
type authMount struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

func (m authMount) exists() bool { return m.Type != "" }

func (m authMount) ownedBy(tenant, cluster string) bool {
	return m.Type == mountType && ownerIn(m.Description, mountMarkBegin) == owner{tenant, "cluster", cluster}
}

// mount returns an auth mount.
func (v *Vault) mount(ctx context.Context, name string) (authMount, error) {
	if err := checkNames("mount", name); err != nil {
		return authMount{}, err
	}
	found, action := authMount{}, "read the auth mount "+name
	_, err := v.readPath(ctx, action, "sys/auth/"+name, &found)
	if f := failureOf(err); f.absent || f.status == http.StatusBadRequest || f.status == http.StatusMethodNotAllowed {
		// These answers do not only mean that there is no such mount. The list is sure.
		mounts := map[string]authMount{}
		_, err := v.readPath(ctx, action, "sys/auth", &mounts)
		return mounts[name+"/"], err
	}
	return found, err
}

// ownMount returns an auth mount that is ours, or the zero value if there is none.
// It returns a *NotOursError if the mount has another owner.
func (v *Vault) ownMount(ctx context.Context, name string) (authMount, error) {
	found, err := v.mount(ctx, name)
	if err == nil && found.exists() && !found.ownedBy(v.o.Tenant, name) {
		err = &NotOursError{Object: "the auth mount " + name, holder: ownerIn(found.Description, mountMarkBegin).describe(v.o.Tenant)}
	}
	return found, err
}

// mountConfig configures how a mount reviews tokens. Fields that are empty here
// would let others in, and are reset if they are set.
type mountConfig struct {
	Host                 string   `json:"kubernetes_host"`
	CA                   string   `json:"kubernetes_ca_cert"`
	PEMKeys              []string `json:"pem_keys"`
	Issuer               string   `json:"issuer"`
	DisableISSValidation bool     `json:"disable_iss_validation"`
	DisableLocalCAJWT    bool     `json:"disable_local_ca_jwt"`
}

// reviewerVersion returns the version of a reviewer's token as a part of a mark:
// itself, or its digest if it has characters that a mark cannot hold.
func reviewerVersion(version string) string {
	if reviewerShape.MatchString(version) {
		return version
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(version)))
}

// putMount makes and configures a mount. The configuration can be read, except for
// the reviewer's token: the mark holds the version of that. The mark is written
// after the configuration, so that the next attempt completes an interrupted one.
// A new mount has no configuration that could be taken for another.
func (v *Vault) putMount(ctx context.Context, body plan.VaultMount, resolve resolver) (changed bool, err error) {
	name := body.Path
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
	mark := mountMark(v.o.Tenant, name, reviewerVersion(version))
	want := mountConfig{Host: body.Host, CA: string(ca.Bytes()), DisableISSValidation: true, DisableLocalCAJWT: true}
	found, err := v.ownMount(ctx, name)
	if err != nil {
		return false, err
	}
	if !found.exists() {
		found = authMount{Type: mountType, Description: mark}
		if err := v.writePath(ctx, request{action: "make the auth mount " + name}, "sys/auth/"+name, found); err != nil {
			return false, err
		}
		changed = true
	}
	var config mountConfig
	if _, err := v.readPath(ctx, "read the configuration of the auth mount "+name, "auth/"+name+"/config", &config); err != nil {
		return changed, err
	}
	if equality.Semantic.DeepEqual(config, want) && found.Description == mark {
		return changed, nil
	}
	err = v.writePath(ctx, request{action: "configure the auth mount " + name}, "auth/"+name+"/config", struct {
		mountConfig
		Reviewer string `json:"token_reviewer_jwt"`
	}{want, string(reviewer.Bytes())})
	if err == nil && found.Description != mark {
		err = v.writePath(ctx, request{action: "mark the auth mount " + name}, "sys/auth/"+name+"/tune", map[string]string{"description": mark})
	}
	return true, err
}

// deleteMount removes a mount, with its roles and all tokens that it has issued.
func (v *Vault) deleteMount(ctx context.Context, cluster, name string) (deleted bool, err error) {
	found, err := v.mount(ctx, name)
	if err != nil || !found.ownedBy(v.o.Tenant, cluster) {
		return false, err
	}
	err = v.deletePath(ctx, request{action: "remove the auth mount " + name, slow: true}, "sys/auth/"+name)
	return err == nil, err
}
