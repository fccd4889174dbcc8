package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"nautes.io/nautes/internal/secrets"
)

// maxRaces is how often a write is tried that somebody else was faster with.
const maxRaces = 5

// Get returns the secret at ref; secrets.ErrNotFound, wrapped, when there is
// none, or its latest version was deleted. A field that is not a string is
// returned in JSON.
func (v *Vault) Get(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if err := check(ref); err != nil {
		return secrets.Secret{}, err
	}
	writes := v.versions.ask(ref)
	stored, err := v.read(ctx, ref)
	if err != nil {
		v.versions.miss(ref)
		return secrets.Secret{}, err
	}
	v.learned(ref, stored.version, writes, false)
	if stored.version == "" {
		return secrets.Secret{}, notFound(ref)
	}
	fields := make(map[string]secrets.Value, len(stored.fields))
	for name, content := range stored.fields {
		fields[name] = secrets.NewValue(content)
	}
	return secrets.Secret{Fields: fields, Version: stored.version}, nil
}

// Version returns the version of the secret at ref, as Get does. While Start
// runs it is what the poll has seen last, and costs nothing.
func (v *Vault) Version(ctx context.Context, ref secrets.Ref) (string, error) {
	if err := check(ref); err != nil {
		return "", err
	}
	version, fresh := v.versions.recall(ref)
	switch {
	case fresh && version == "":
		return "", notFound(ref)
	case fresh:
		return version, nil
	}
	version, err := v.readVersion(ctx, ref, v.versions.ask(ref))
	if err != nil {
		v.versions.miss(ref)
		return "", err
	}
	if version == "" {
		return "", notFound(ref)
	}
	return version, nil
}

// Put stores the fields at ref and returns the version. Equal content writes
// nothing. The fields replace all that was there; what somebody else writes at
// the same time is read again before it is replaced.
func (v *Vault) Put(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	if err := check(ref); err != nil {
		return "", err
	}
	data, err := texts(ref, fields)
	if err != nil {
		return "", err
	}
	for race := 1; ; race++ {
		writes := v.versions.ask(ref)
		stored, err := v.read(ctx, ref)
		if err != nil {
			return "", err
		}
		if stored.version != "" && maps.EqualFunc(stored.fields, data, func(a []byte, b string) bool { return string(a) == b }) {
			v.learned(ref, stored.version, writes, false)
			return stored.version, nil
		}
		version, err := v.write(ctx, ref, data, stored.number)
		if err == nil {
			v.learned(ref, version, writes, true)
			return version, nil
		}
		if !isConflict(err) || race == maxRaces {
			return "", err
		}
	}
}

// Create stores the fields at ref and returns the version; secrets.ErrExists,
// wrapped, when there is a secret, or somebody else was faster.
func (v *Vault) Create(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	if err := check(ref); err != nil {
		return "", err
	}
	data, err := texts(ref, fields)
	if err != nil {
		return "", err
	}
	writes := v.versions.ask(ref)
	stored, err := v.read(ctx, ref)
	if err != nil {
		return "", err
	}
	if stored.version == "" {
		var version string
		if version, err = v.write(ctx, ref, data, stored.number); err == nil {
			v.learned(ref, version, writes, true)
			return version, nil
		}
		if !isConflict(err) {
			return "", err
		}
	}
	return "", fmt.Errorf("store the secret %s: %w", ref, secrets.ErrExists)
}

// Delete removes all versions of the secret at ref; one that does not exist is no error.
func (v *Vault) Delete(ctx context.Context, ref secrets.Ref) error {
	if err := check(ref); err != nil {
		return err
	}
	writes := v.versions.ask(ref)
	if err := v.engine(ctx, ref); err != nil {
		return err
	}
	r := request{what: "remove the secret " + ref.String(), verb: read, path: metadataPath(ref)}
	answer, err := v.do(ctx, r)
	if err != nil {
		return err
	}
	if answer.Missing {
		v.learned(ref, "", writes, false)
		return nil
	}
	r.verb = remove
	if _, err := v.do(ctx, r); err != nil {
		return err
	}
	v.learned(ref, "", writes, true)
	return nil
}

func metadataPath(ref secrets.Ref) string { return ref.Engine + "/metadata/" + ref.Path }

func notFound(ref secrets.Ref) error { return fmt.Errorf("secret %s: %w", ref, secrets.ErrNotFound) }

// pathShape leaves out all that means something in a URL or in a policy.
var pathShape = regexp.MustCompile(`^[a-zA-Z0-9_-][-._a-zA-Z0-9]*(/[a-zA-Z0-9_-][-._a-zA-Z0-9]*)*$`)

func check(ref secrets.Ref) error {
	if !labelShape.MatchString(ref.Engine) || !pathShape.MatchString(ref.Path) || len(ref.Path) > 512 {
		return fmt.Errorf("the reference %q names no secret: it needs an engine, as git, and a path of letters, digits, dots, dashes and underscores", ref.String())
	}
	return nil
}

// texts returns the fields as Vault keeps them: it has no bytes.
func texts(ref secrets.Ref, fields map[string]secrets.Value) (map[string]string, error) {
	data := make(map[string]string, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		content := fields[name].Bytes()
		if name == "" || !utf8.ValidString(name) || !utf8.Valid(content) {
			return nil, fmt.Errorf("store the secret %s: the field %q must have a name, and be text in UTF-8", ref, name)
		}
		data[name] = string(content)
	}
	return data, nil
}

// stored is what Vault keeps of a secret.
type stored struct {
	fields map[string][]byte
	// version is empty when there is no secret, or its latest version was deleted.
	version string
	// number of the latest version, deleted or not; 0 when there was never one.
	number int64
}

func (v *Vault) read(ctx context.Context, ref secrets.Ref) (stored, error) {
	if err := v.engine(ctx, ref); err != nil {
		return stored{}, err
	}
	r := request{what: "read the secret " + ref.String(), verb: read, path: secrets.DataPath(ref)}
	answer, err := v.do(ctx, r)
	if err != nil {
		return stored{}, v.gone(ref, err)
	}
	if answer.Missing && len(answer.Data) == 0 {
		return stored{}, nil
	}
	var secret struct {
		Data     map[string]json.RawMessage `json:"data"`
		Metadata struct {
			Version int64  `json:"version"`
			Created string `json:"created_time"`
		} `json:"metadata"`
	}
	if err := answer.into(r, &secret); err != nil {
		return stored{}, err
	}
	found := stored{number: secret.Metadata.Version}
	if answer.Missing {
		return found, nil
	}
	if found.version = versionOf(found.number, secret.Metadata.Created); found.version == "" {
		return stored{}, unreadable(r)
	}
	found.fields, err = contents(secret.Data)
	if err != nil {
		return stored{}, unreadable(r)
	}
	return found, nil
}

// contents returns fields as people mean them: strings as they are, others in JSON.
func contents(data map[string]json.RawMessage) (map[string][]byte, error) {
	fields := make(map[string][]byte, len(data))
	for name, raw := range data {
		raw = bytes.TrimSpace(raw)
		switch {
		case bytes.Equal(raw, []byte("null")):
		case bytes.HasPrefix(raw, []byte(`"`)):
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, err
			}
			fields[name] = []byte(text)
		default:
			fields[name] = raw
		}
	}
	return fields, nil
}

// write stores the fields after the version of a number.
func (v *Vault) write(ctx context.Context, ref secrets.Ref, data map[string]string, after int64) (string, error) {
	r := request{
		what: "store the secret " + ref.String(), verb: write, path: secrets.DataPath(ref),
		body: map[string]any{"data": data, "options": map[string]any{"cas": after}},
	}
	answer, err := v.do(ctx, r)
	if err != nil {
		return "", v.gone(ref, err)
	}
	var written struct {
		Version int64  `json:"version"`
		Created string `json:"created_time"`
	}
	if err := answer.into(r, &written); err != nil {
		return "", err
	}
	version := versionOf(written.Version, written.Created)
	if version == "" {
		return "", unreadable(r)
	}
	return version, nil
}

// readVersion reads the version of a secret, and notes it; empty: there is none.
func (v *Vault) readVersion(ctx context.Context, ref secrets.Ref, writes int) (string, error) {
	if err := v.engine(ctx, ref); err != nil {
		return "", err
	}
	r := request{what: "read the version of the secret " + ref.String(), verb: read, path: metadataPath(ref)}
	answer, err := v.do(ctx, r)
	if err != nil {
		return "", v.gone(ref, err)
	}
	var metadata struct {
		Current  int64 `json:"current_version"`
		Versions map[string]struct {
			Created   string `json:"created_time"`
			Deletion  string `json:"deletion_time"`
			Destroyed bool   `json:"destroyed"`
		} `json:"versions"`
	}
	version := ""
	if !answer.Missing {
		if err := answer.into(r, &metadata); err != nil {
			return "", err
		}
		latest, ok := metadata.Versions[strconv.FormatInt(metadata.Current, 10)]
		if ok && !latest.Destroyed && !past(latest.Deletion) {
			version = versionOf(metadata.Current, latest.Created)
		}
	}
	v.learned(ref, version, writes, false)
	return version, nil
}

// versionOf returns the text of a version. The numbers begin anew when a secret
// is removed and made again; the times do not.
func versionOf(number int64, created string) string {
	if number <= 0 || created == "" {
		return ""
	}
	return strconv.FormatInt(number, 10) + "@" + created
}

// past tells whether a time of Vault's has come; an empty one never does.
func past(text string) bool {
	at, err := time.Parse(time.RFC3339Nano, text)
	return err == nil && !at.After(time.Now())
}

// engine checks, once, that the engine of a secret is there and keeps versions:
// where it is not, Vault says of every secret that it does not exist.
func (v *Vault) engine(ctx context.Context, ref secrets.Ref) error {
	name := ref.Engine
	v.mu.Lock()
	known := v.engines[name]
	v.mu.Unlock()
	if known {
		return nil
	}
	r := request{what: "use the secret " + ref.String(), verb: read, path: "sys/internal/ui/mounts/" + name}
	answer, err := v.do(ctx, r)
	if forbidden(err) || isAbsent(err) {
		return denied(r.what, fmt.Sprintf("there is no engine at %s/ that the operator may use; enable KV version 2 there, and see the operator's policy", name))
	}
	if err != nil {
		return err
	}
	var mount struct {
		Path    string `json:"path"`
		Type    string `json:"type"`
		Options struct {
			Version string `json:"version"`
		} `json:"options"`
	}
	if err := answer.into(r, &mount); err != nil {
		return err
	}
	if mount.Type != "kv" || mount.Options.Version != "2" || !strings.HasSuffix(mount.Path, name+"/") {
		return denied(r.what, fmt.Sprintf("the engine at %s/ is not KV version 2", name))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.engines[name] = true
	return nil
}

// gone forgets an engine that has gone.
func (v *Vault) gone(ref secrets.Ref, err error) error {
	if isAbsent(err) {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.engines, ref.Engine)
	}
	return err
}
