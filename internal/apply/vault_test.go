package apply_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

const (
	shout plan.Format = "shout"
	fussy plan.Format = "fussy"
)

// formats returns the formats that the tests use.
func formats() apply.Option {
	return apply.WithFormats(map[plan.Format]apply.FormatFunc{
		shout: func(in []byte) ([]byte, error) { return bytes.ToUpper(in), nil },
		fussy: func(in []byte) ([]byte, error) { return nil, fmt.Errorf("%s will not do", in) },
	})
}

// vault is a System in memory. A mount takes two writes, as it does in Vault.
type vault struct {
	uid string

	mu      sync.Mutex
	entries map[plan.ID]entry
	// log lists the calls of Owned, Put and Delete.
	log []string
	// before is called at each request, and again at each write.
	before func(write bool) error
	// after is called after each write.
	after func() error
}

type entry struct {
	owner plan.Owner
	body  string
}

func newVault() *vault { return &vault{uid: "vault-1", entries: map[plan.ID]entry{}} }

// heldError is the error about an item of another owner.
type heldError struct{ holder string }

func (e heldError) Error() string  { return "it is held by " + e.holder }
func (e heldError) Holder() string { return e.holder }

func (v *vault) UID() string { return v.uid }

func (v *vault) Kinds() []plan.SystemKind {
	return []plan.SystemKind{
		{Group: plan.GroupVault, Kind: plan.KindVaultPolicy, Revoke: true},
		{Group: plan.GroupVault, Kind: plan.KindVaultRole, Revoke: true},
		{Group: plan.GroupVault, Kind: plan.KindVaultMount, Stage: plan.StageConfig, Container: true},
	}
}

func (v *vault) ask(write bool) error {
	if v.before == nil {
		return nil
	}
	return v.before(write)
}

func (v *vault) Owned(_ context.Context, set plan.Set) ([]plan.ID, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.log = append(v.log, "owned")
	if err := v.ask(false); err != nil {
		return nil, err
	}
	var owned []plan.ID
	for id, e := range v.entries {
		elsewhere := id.Kind == plan.KindVaultRole && id.Namespace != set.Target.Name ||
			id.Kind == plan.KindVaultMount && id.Name != set.Target.Name
		if e.owner == set.Owner && !elsewhere {
			owned = append(owned, id, id)
		}
	}
	return owned, nil
}

func (v *vault) Put(_ context.Context, owner plan.Owner, item plan.Item,
	resolve func(plan.SecretValue) (secrets.Value, string, error),
) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.log = append(v.log, "put "+item.ID.String())
	if err := v.ask(false); err != nil {
		return false, err
	}
	before, there := v.entries[item.ID]
	if there && before.owner != owner {
		return false, fmt.Errorf("put it: %w", heldError{holder: before.owner.String()})
	}
	text, err := json.Marshal(item.Body)
	if err != nil {
		return false, err
	}
	wanted := entry{owner: owner, body: string(text)}
	mount, isMount := item.Body.(plan.VaultMount)
	if isMount {
		for _, value := range []plan.SecretValue{mount.CA, mount.Reviewer} {
			content, version, err := resolve(value)
			if err != nil {
				return false, fmt.Errorf("put it: %w", err)
			}
			wanted.body += " " + string(content.Bytes()) + "@" + version
		}
	}
	if _, ok := v.entries[plan.VaultMountID(item.ID.Namespace)]; item.ID.Namespace != "" && !ok {
		return false, fmt.Errorf("there is no mount %s: %w", item.ID.Namespace, secrets.ErrNotFound)
	}
	if there && before == wanted {
		return false, nil
	}
	if isMount && !there {
		if err := v.write(item.ID, entry{owner: owner}); err != nil {
			return false, err
		}
	}
	return true, v.write(item.ID, wanted)
}

func (v *vault) write(id plan.ID, e entry) error {
	if err := v.ask(true); err != nil {
		return err
	}
	v.entries[id] = e
	if v.after != nil {
		return v.after()
	}
	return nil
}

func (v *vault) Delete(_ context.Context, owner plan.Owner, id plan.ID) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.log = append(v.log, "delete "+id.String())
	if err := v.ask(true); err != nil {
		return false, err
	}
	if e, ok := v.entries[id]; !ok || e.owner != owner {
		return false, nil
	}
	delete(v.entries, id)
	for role := range v.entries {
		if id.Kind == plan.KindVaultMount && role.Namespace == id.Name {
			delete(v.entries, role)
		}
	}
	if v.after != nil {
		return true, v.after()
	}
	return true, nil
}

// asked returns the log since the last call.
func (v *vault) asked() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	log := v.log
	v.log = nil
	return log
}

// holds returns the IDs of all items, sorted.
func (v *vault) holds() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for id := range v.entries {
		out = append(out, id.String())
	}
	slices.Sort(out)
	return out
}

var (
	_            apply.System = (*vault)(nil)
	kubeconfig                = secrets.ClusterKubeconfig("c")
	reviewer                  = secrets.ClusterReviewer("c")
	clusterOwner              = plan.Owner{Kind: "Cluster", Name: "c"}
	spaceOwner                = plan.Owner{Kind: "Space", Product: "p", Name: "p"}
)

func mount() plan.Item {
	return plan.Item{ID: plan.VaultMountID("c"), Stage: plan.StageConfig, Source: plan.Ref{Kind: "Cluster", Name: "c"}, Body: plan.VaultMount{
		Path: "c", Host: "https://10.0.0.1",
		CA:       plan.SecretValue{Ref: kubeconfig, Field: "kubeconfig", Format: shout},
		Reviewer: plan.SecretValue{Ref: reviewer, Field: "token"},
	}}
}

func policy(name string) plan.Item {
	return plan.Item{ID: plan.VaultPolicyID(name), Stage: plan.StageConfig, Body: plan.VaultPolicy{
		Name: name, Rules: []plan.VaultRule{{Path: "git/data/" + name, Capabilities: []string{"read"}}},
	}}
}

func role(name string, policies ...string) plan.Item { return roleOn("c", name, policies...) }

func roleOn(mount, name string, policies ...string) plan.Item {
	return plan.Item{ID: plan.VaultRoleID(mount, name), Stage: plan.StageWorkload, Body: plan.VaultRole{
		Name: name, ServiceAccounts: []string{"default"}, Namespaces: []string{name}, Policies: policies,
	}}
}

func systemSet(owner plan.Owner, items ...plan.Item) plan.Set {
	return plan.Set{Owner: owner, Target: plan.Vault("c"), Items: items}
}

// mounted returns a vault with the mount of the cluster, and a store with its
// secrets.
func mounted(t *testing.T) (*vault, *memoryStore) {
	t.Helper()
	v, store := newVault(), &memoryStore{}
	store.set(kubeconfig, "kubeconfig", "ca")
	store.set(reviewer, "token", "first")
	r, err := apply.New(tenant, store, formats()).ApplySystem(t.Context(), v, systemSet(clusterOwner, mount()), apply.Options{})
	if err != nil || r.Written != 1 {
		t.Fatalf("make the mount: %+v, %v", r, err)
	}
	v.asked()
	return v, store
}
