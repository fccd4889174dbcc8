package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
)

func (d *demo) vault() *devstack.Vault { return d.Vaults[devstack.VaultName] }

var errVault = errors.New("the secret store refuses it")

// askVault asks Vault with a token and returns the data of its answer; nil when
// there is nothing at the path.
func (d *demo) askVault(ctx context.Context, token, method, path string, body any) (map[string]any, error) {
	status, answer, err := d.vault().Request(ctx, method, path, token, body)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case status/100 != 2:
		return nil, fmt.Errorf("%s %s: %w: status %d", method, path, errVault, status)
	}
	data, _ := answer["data"].(map[string]any)
	return data, nil
}

// namesInVault lists the names below a path. Names of folders end in a slash.
func (d *demo) namesInVault(ctx context.Context, path string) ([]string, error) {
	data, err := d.askVault(ctx, d.vault().RootToken(), "LIST", path, nil)
	if err != nil {
		return nil, err
	}
	keys, _ := data["keys"].([]any)
	var names []string
	for _, key := range keys {
		names = append(names, fmt.Sprint(key))
	}
	slices.Sort(names)
	return names, nil
}

// secretsInVault lists the paths of the secrets of an engine.
func (d *demo) secretsInVault(ctx context.Context, engine, folder string) ([]string, error) {
	names, err := d.namesInVault(ctx, engine+"/metadata/"+folder)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range names {
		if !strings.HasSuffix(name, "/") {
			paths = append(paths, engine+"/"+folder+name)
			continue
		}
		below, err := d.secretsInVault(ctx, engine, folder+name)
		if err != nil {
			return nil, err
		}
		paths = append(paths, below...)
	}
	return paths, nil
}

// inVault holds the names of the entries in Vault.
type inVault struct {
	// roles of the auth mounts, by the mounts' names.
	roles    map[string][]string
	policies []string
	secrets  []string
}

func (d *demo) listVault(ctx context.Context) (inVault, error) {
	found := inVault{roles: map[string][]string{}}
	mounts, err := d.askVault(ctx, d.vault().RootToken(), http.MethodGet, "sys/auth", nil)
	if err != nil {
		return found, err
	}
	for mount := range mounts {
		name := strings.TrimSuffix(mount, "/")
		if name == "token" {
			continue
		}
		if found.roles[name], err = d.namesInVault(ctx, "auth/"+name+"/role"); err != nil {
			return found, err
		}
	}
	policies, err := d.namesInVault(ctx, "sys/policies/acl")
	if err != nil {
		return found, err
	}
	found.policies = slices.DeleteFunc(policies, func(name string) bool { return name == "root" || name == "default" })
	for _, engine := range []string{"cluster", "git", "tenant"} {
		paths, err := d.secretsInVault(ctx, engine, "")
		if err != nil {
			return found, err
		}
		found.secrets = append(found.secrets, paths...)
	}
	return found, nil
}

// showVault prints the names in Vault, and no values.
func (d *demo) showVault(found inVault) {
	root := branch{text: "Vault, by names"}
	for _, mount := range slices.Sorted(maps.Keys(found.roles)) {
		text := "auth mount " + mount + ": no role"
		if roles := found.roles[mount]; len(roles) > 0 {
			text = "auth mount " + mount + ": role " + strings.Join(roles, ", ")
		}
		root.children = append(root.children, branch{text: text})
	}
	for _, policy := range found.policies {
		root.children = append(root.children, branch{text: "policy " + policy})
	}
	for _, path := range found.secrets {
		root.children = append(root.children, branch{text: "secret " + path})
	}
	d.screen.tree(root)
}

// secretAccess shows the names in Vault, and logs in as the product's account does.
func (d *demo) secretAccess(ctx context.Context) error {
	role := d.labs.Name + "-dr-dev"
	var found inVault
	err := d.until(ctx, "the role of the product's account", func(ctx context.Context) error {
		var err error
		if found, err = d.listVault(ctx); err != nil {
			return err
		}
		if !slices.Contains(found.roles[workerName], role) {
			return fmt.Errorf("the auth mount %s has the roles %v", workerName, found.roles[workerName])
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.showVault(found)

	began := time.Now()
	account, err := d.Runtimes[workerName].AccountToken(ctx, "dr-dev", "dr-dev")
	if err != nil {
		return err
	}
	status, answer, err := d.vault().Request(ctx, http.MethodPost, "auth/"+workerName+"/login", "", map[string]any{"role": role, "jwt": account})
	if err != nil {
		return err
	}
	auth, _ := answer["auth"].(map[string]any)
	if status != http.StatusOK || auth["client_token"] == nil {
		return fmt.Errorf("ServiceAccount dr-dev/dr-dev logs in to Vault: %w: status %d", errVault, status)
	}
	d.accountToken = fmt.Sprint(auth["client_token"])
	d.screen.done("ServiceAccount dr-dev/dr-dev logs in by the role "+role, time.Since(began))
	for _, read := range []struct {
		ref  secrets.Ref
		want int
	}{
		{secrets.RepositoryReadOnly(d.kind, d.manifestsID), http.StatusOK},
		{secrets.RepositoryReadWrite(d.kind, d.manifestsID), http.StatusForbidden},
		{secrets.ClusterKubeconfig(workerName), http.StatusForbidden},
		{secrets.ProviderToken(d.kind), http.StatusForbidden},
	} {
		if err := d.accountReads(ctx, read.ref, read.want); err != nil {
			return err
		}
	}
	return nil
}

// accountReads reads a secret as the product's account, and prints the result.
func (d *demo) accountReads(ctx context.Context, ref secrets.Ref, want int) error {
	status, _, err := d.vault().Request(ctx, http.MethodGet, secrets.DataPath(ref), d.accountToken, nil)
	if err != nil {
		return err
	}
	if status != want {
		return fmt.Errorf("the product's account reads %s/%s: status %d, want %d", ref.Engine, ref.Path, status, want)
	}
	d.screen.say("  it reads %-50s %s", ref.Engine+"/"+ref.Path, map[bool]string{true: "yes", false: "no, permission denied"}[status == http.StatusOK])
	return nil
}
