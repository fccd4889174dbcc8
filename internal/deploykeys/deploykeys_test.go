package deploykeys

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/access"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
)

// memory is a store without versions.
type memory map[secrets.Ref]map[string]secrets.Value

func (m memory) Get(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if fields, found := m[ref]; found {
		return secrets.Secret{Fields: fields}, nil
	}
	return secrets.Secret{}, secrets.ErrNotFound
}

func (m memory) Put(_ context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	m[ref] = fields
	return "", nil
}

func (m memory) Create(_ context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	if m[ref] != nil {
		return "", secrets.ErrExists
	}
	m[ref] = fields
	return "", nil
}

func (m memory) Delete(_ context.Context, ref secrets.Ref) error {
	delete(m, ref)
	return nil
}

func (m memory) Version(ctx context.Context, ref secrets.Ref) (string, error) {
	_, err := m.Get(ctx, ref)
	return "", err
}

func text(fields map[string]string) map[string]secrets.Value {
	values := map[string]secrets.Value{}
	for name, content := range fields {
		values[name] = secrets.NewValue([]byte(content))
	}
	return values
}

func TestEnsure(t *testing.T) {
	made, err := newKey("repo-7", "")
	if err != nil {
		t.Fatal(err)
	}
	with := func(changes map[string]string) map[string]secrets.Value {
		changed := text(changes)
		for name, value := range made {
			if _, other := changed[name]; !other {
				changed[name] = value
			}
		}
		return changed
	}
	public := string(made[fieldFingerprint].Bytes())
	for name, test := range map[string]struct {
		stored   map[string]secrets.Value
		rotation string
		// wantSame reports whether the key stays, wantMade whether it is one of Nautes.
		wantSame, wantMade bool
	}{
		"none":                           {wantMade: true},
		"none, with a rotation":          {rotation: "1", wantMade: true},
		"one of Nautes":                  {stored: made, wantSame: true, wantMade: true},
		"a rotation":                     {stored: made, rotation: "1", wantMade: true},
		"the same rotation":              {stored: with(map[string]string{"rotation": "1"}), rotation: "1", wantSame: true, wantMade: true},
		"another rotation":               {stored: with(map[string]string{"rotation": "1"}), rotation: "2", wantMade: true},
		"no rotation any more":           {stored: with(map[string]string{"rotation": "1"}), wantSame: true, wantMade: true},
		"the key of a person":            {stored: map[string]secrets.Value{"deploykey": made["deploykey"]}, rotation: "1", wantSame: true},
		"a key that a person replaced":   {stored: with(map[string]string{"fingerprint": "ssh-ed25519 AAAA"}), rotation: "1", wantSame: true},
		"a key of another repository":    {stored: with(map[string]string{"id": "repo-8"}), rotation: "1", wantSame: true},
		"a password of a person":         {stored: text(map[string]string{"username": "u", "password": "p"}), rotation: "1", wantSame: true},
		"a key that is no key":           {stored: with(map[string]string{"deploykey": "nonsense"}), rotation: "1", wantSame: true},
		"one of Nautes with known hosts": {stored: with(map[string]string{"known_hosts": "host"}), rotation: "1", wantMade: true},
	} {
		t.Run(name, func(t *testing.T) {
			store := memory{}
			k := Keeper{Store: store, Provider: "gitlab"}
			ref := secrets.RepositoryReadWrite("gitlab", "repo-7")
			if test.stored != nil {
				store[ref] = test.stored
			}
			key, err := k.Ensure(t.Context(), "repo-7", v1alpha1.PermissionReadWrite, test.rotation)
			if err != nil {
				t.Fatal(err)
			}
			same := string(store[ref][fieldDeployKey].Bytes()) == string(test.stored[fieldDeployKey].Bytes())
			if key.Made != test.wantMade || same != test.wantSame || len(store) != 1 {
				t.Errorf("made by Nautes: %t, want %t; the same: %t, want %t; %d secrets", key.Made, test.wantMade, same, test.wantSame, len(store))
			}
			if !test.wantSame && key.Public == public {
				t.Error("the key is the one before")
			}
			if hosts := test.stored["known_hosts"].Bytes(); string(store[ref]["known_hosts"].Bytes()) != string(hosts) {
				t.Error("the known hosts are lost")
			}
			again, err := k.Ensure(t.Context(), "repo-7", v1alpha1.PermissionReadWrite, test.rotation)
			if diff := cmp.Diff(key, again); diff != "" || err != nil {
				t.Errorf("again (-want +got):\n%s%v", diff, err)
			}
			if read, err := k.Read(t.Context(), "repo-7", v1alpha1.PermissionReadWrite); err != nil || read != key {
				t.Errorf("Read = %+v, %v", read, err)
			}
			if err := k.Forget(t.Context(), "repo-7"); err != nil || k.Stored(t.Context(), "repo-7") {
				t.Errorf("Forget: %v, %d secrets", err, len(store))
			}
		})
	}
}

// A key that another process makes at the same time is taken.
func TestEnsureLosesARace(t *testing.T) {
	other, err := newKey("repo-7", "")
	if err != nil {
		t.Fatal(err)
	}
	store := &late{memory: memory{}, fields: other}
	key, err := (&Keeper{Store: store, Provider: "gitlab"}).Ensure(t.Context(), "repo-7", v1alpha1.PermissionReadOnly, "")
	if err != nil || key.Public != string(other[fieldFingerprint].Bytes()) {
		t.Errorf("Ensure = %+v, %v", key, err)
	}
}

// late is a store that gets a secret just before the first Create.
type late struct {
	memory
	fields map[string]secrets.Value
}

func (l *late) Create(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	l.memory[ref] = l.fields
	return l.memory.Create(ctx, ref, fields)
}

func TestLacking(t *testing.T) {
	public := func() string {
		fields, err := newKey("repo-1", "")
		if err != nil {
			t.Fatal(err)
		}
		return string(fields[fieldFingerprint].Bytes())
	}
	one, two := public(), public()
	read := access.Grant{On: "repo-1", Of: "repo-2", Permission: v1alpha1.PermissionReadOnly}
	write := access.Grant{On: "repo-1", Of: "repo-2", Permission: v1alpha1.PermissionReadWrite}
	for name, test := range map[string]struct {
		keys   []client.Key
		wanted Known
		want   bool
	}{
		"none":                          {wanted: Known{read, FingerprintOf(one)}, want: true},
		"there":                         {keys: []client.Key{{Title: "repo-2-readonly", Public: one}}, wanted: Known{read, FingerprintOf(one)}},
		"there, and can push":           {keys: []client.Key{{Title: "repo-2-readwrite", Public: one, CanPush: true}}, wanted: Known{write, FingerprintOf(one)}},
		"another key":                   {keys: []client.Key{{Title: "repo-2-readonly", Public: two}}, wanted: Known{read, FingerprintOf(one)}, want: true},
		"another title":                 {keys: []client.Key{{Title: "repo-3-readonly", Public: one}}, wanted: Known{read, FingerprintOf(one)}, want: true},
		"may push and must not":         {keys: []client.Key{{Title: "repo-2-readonly", Public: one, CanPush: true}}, wanted: Known{read, FingerprintOf(one)}, want: true},
		"must push and may not":         {keys: []client.Key{{Title: "repo-2-readwrite", Public: one}}, wanted: Known{write, FingerprintOf(one)}, want: true},
		"beside the one before":         {keys: []client.Key{{Title: "repo-2-readonly", Public: two}, {Title: "repo-2-readonly", Public: one}}, wanted: Known{read, FingerprintOf(one)}, want: true},
		"none on record":                {wanted: Known{Grant: read}},
		"none on record, and one there": {keys: []client.Key{{Title: "repo-2-readonly", Public: two}}, wanted: Known{Grant: read}},
		"a key in a format of its own":  {keys: []client.Key{{Title: "repo-2-readonly", Public: "nonsense"}}, wanted: Known{read, FingerprintOf(one)}, want: true},
		"the key of a person beside it": {keys: []client.Key{{Title: "laptop", Public: two}, {Title: "repo-2-readonly", Public: one}}, wanted: Known{read, FingerprintOf(one)}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := len(Lacking(test.keys, []Known{test.wanted})) > 0; got != test.want {
				t.Errorf("lacking: %t, want %t", got, test.want)
			}
		})
	}
}

func TestRepositoryID(t *testing.T) {
	for name, want := range map[string]int64{"repo-7": 7, "repo-0": 0, "repo--1": 0, "repo-x": 0, "api": 0, "repo-": 0, "repo-99999999999999999999": 0} {
		id, ok := RepositoryID(name)
		if ok != (want > 0) || ok && (id != want || RepositoryName(id) != name) {
			t.Errorf("RepositoryID(%s) = %d, %t", name, id, ok)
		}
	}
}

// The error for a secret that holds no key does not quote it.
func TestEnableQuotesNothing(t *testing.T) {
	store := memory{secrets.RepositoryReadOnly("gitlab", "repo-7"): text(map[string]string{"deploykey": "canary"})}
	err := (&Keeper{Store: store, Provider: "gitlab"}).Own(t.Context(), 7, v1alpha1.PermissionReadOnly)
	if want := "a stored deploy key is not a private key: delete it in the secret store"; err == nil || err.Error() != want || errors.Unwrap(err) != nil {
		t.Errorf("Own: %v", err)
	}
}
