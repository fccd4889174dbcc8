// Package kube keeps secrets as Secrets in the operator's namespace. It
// guarantees that it reads, changes and removes only Secrets that it has made,
// and that storing equal content writes nothing.
package kube

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
)

const (
	// LabelEngine holds the engine of the secrets.Ref. A cache may select by it.
	LabelEngine = "nautes.io/secret-engine"
	// AnnotationPath holds the path of the secrets.Ref.
	AnnotationPath = "nautes.io/secret-path"
)

// ForeignError is returned when a Secret in the place of a secret was not made by
// the store.
type ForeignError struct {
	// Namespace and Name of the Secret.
	Namespace, Name string
	Ref             secrets.Ref
}

// Error names the Secret, the reference and the remedy.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("the Secret %s/%s is in the place of the secret %s, but the secret store has not made it; delete it", e.Namespace, e.Name, e.Ref)
}

// Store is a secrets.Store on Secrets of one namespace. It is safe for
// concurrent use.
type Store struct {
	namespace string
	reader    client.Reader
	client    client.Client
	key       []byte
}

// New returns a store on the Secrets of a namespace. Get and Version use reader, which may be a
// cache; Put and Delete use c. If that is a cache too, a Put after another one may conflict.
func New(reader client.Reader, c client.Client, namespace string) *Store {
	key := make([]byte, sha256.Size)
	// It never returns an error: see the documentation of crypto/rand.
	_, _ = rand.Read(key)
	return &Store{namespace: namespace, reader: reader, client: c, key: key}
}

// Get returns the secret at ref. The error wraps secrets.ErrNotFound if there is
// none, and is a *ForeignError if a Secret of another owner is in its place.
func (s *Store) Get(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	secret, err := s.read(ctx, s.reader, ref)
	if err != nil {
		return secrets.Secret{}, err
	}
	fields := make(map[string]secrets.Value, len(secret.Data))
	for name, content := range secret.Data {
		fields[name] = secrets.NewValue(content)
	}
	return secrets.Secret{Fields: fields, Version: s.version(secret.Data)}, nil
}

// Version returns the version of the secret at ref, with the errors of Get. It is
// a keyed digest of the content: it reveals nothing, does not change with labels
// or annotations, and is comparable only with versions of the same Store.
func (s *Store) Version(ctx context.Context, ref secrets.Ref) (string, error) {
	secret, err := s.Get(ctx, ref)
	return secret.Version, err
}

// Put stores the fields at ref and returns the version. Equal content writes
// nothing. It returns a *ForeignError if a Secret of another owner is in its place.
func (s *Store) Put(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	return s.store(ref, fields, func(data map[string][]byte) error {
		return retry.OnError(retry.DefaultBackoff, isRace, func() error { return s.put(ctx, ref, data) })
	})
}

// Create stores the fields at ref and returns the version. The error wraps
// secrets.ErrExists if any Secret is in its place.
func (s *Store) Create(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	return s.store(ref, fields, func(data map[string][]byte) error {
		err := s.client.Create(ctx, s.secret(ref, data))
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("store the secret %s: %w", ref, secrets.ErrExists)
		}
		return err
	})
}

// store writes the fields as the data of a Secret, and returns the version.
func (s *Store) store(ref secrets.Ref, fields map[string]secrets.Value, write func(data map[string][]byte) error) (string, error) {
	if err := check(ref); err != nil {
		return "", err
	}
	data := make(map[string][]byte, len(fields))
	for name, value := range fields {
		if len(validation.IsConfigMapKey(name)) > 0 {
			return "", fmt.Errorf("store the secret %s: a field's name may hold letters, digits, dots, dashes and underscores only", ref)
		}
		data[name] = value.Bytes()
	}
	if err := write(data); err != nil {
		return "", wrap("store", ref, err)
	}
	return s.version(data), nil
}

func (s *Store) put(ctx context.Context, ref secrets.Ref, data map[string][]byte) error {
	secret, err := s.read(ctx, s.client, ref)
	switch {
	case errors.Is(err, secrets.ErrNotFound):
		return s.client.Create(ctx, s.secret(ref, data))
	case err != nil:
		return err
	case maps.EqualFunc(secret.Data, data, slices.Equal[[]byte]):
		return nil
	}
	secret.Data = data
	return s.client.Update(ctx, secret)
}

// Delete removes the secret at ref, if there is one. It returns a *ForeignError if
// a Secret of another owner is in its place.
func (s *Store) Delete(ctx context.Context, ref secrets.Ref) error {
	err := retry.OnError(retry.DefaultBackoff, isRace, func() error {
		secret, err := s.read(ctx, s.client, ref)
		if err != nil {
			return err
		}
		return s.client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
	})
	if errors.Is(err, secrets.ErrNotFound) || apierrors.IsNotFound(err) {
		return nil
	}
	return wrap("remove", ref, err)
}

// RefOf returns the reference of a Secret of the store. It returns false for all
// other objects.
func RefOf(o client.Object) (secrets.Ref, bool) {
	ref := secrets.Ref{Engine: o.GetLabels()[LabelEngine], Path: o.GetAnnotations()[AnnotationPath]}
	if o.GetLabels()[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy || check(ref) != nil || o.GetName() != nameOf(ref) {
		return secrets.Ref{}, false
	}
	return ref, true
}

func (s *Store) secret(ref secrets.Ref, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: nameOf(ref),
			Labels:      map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, LabelEngine: ref.Engine},
			Annotations: map[string]string{AnnotationPath: ref.Path},
		},
		Type: corev1.SecretTypeOpaque, Data: data,
	}
}

// version digests the content with a key of this Store. From a plain digest, a
// short secret could be guessed, and two equal secrets recognised.
func (s *Store) version(data map[string][]byte) string {
	// JSON encodes a map in the order of its keys, and this type never fails.
	content, _ := json.Marshal(data)
	h := hmac.New(sha256.New, s.key)
	_, _ = h.Write(content)
	return fmt.Sprintf("%x", h.Sum(nil))
}

func check(ref secrets.Ref) error {
	if len(validation.IsDNS1123Label(ref.Engine)) > 0 || ref.Path == "" || len(ref.Path) > 1024 {
		return fmt.Errorf("the reference %q names no secret: it needs an engine, for example git, and a path", ref.String())
	}
	return nil
}

// nameOf derives the name of a Secret from the whole reference. Names of two
// references differ, unless SHA-256 has a collision.
func nameOf(ref secrets.Ref) string {
	sum := sha256.Sum256([]byte(ref.Engine + "\x00" + ref.Path))
	return "nautes-" + ref.Engine + "-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// read returns the Secret of a reference.
func (s *Store) read(ctx context.Context, from client.Reader, ref secrets.Ref) (*corev1.Secret, error) {
	if err := check(ref); err != nil {
		return nil, err
	}
	secret := &corev1.Secret{}
	err := from.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: nameOf(ref)}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("secret %s: %w", ref, secrets.ErrNotFound)
	case err != nil:
		return nil, wrap("read", ref, err)
	}
	if found, ok := RefOf(secret); !ok || found != ref {
		return nil, &ForeignError{Namespace: s.namespace, Name: secret.Name, Ref: ref}
	}
	return secret, nil
}

// isRace reports whether another client wrote between a read and a write.
func isRace(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// wrap adds the secret to an error. It does not repeat the message of the API
// server about a request that carries secrets, which may quote them.
func wrap(verb string, ref secrets.Ref, err error) error {
	var foreign *ForeignError
	if err == nil || errors.Is(err, secrets.ErrNotFound) || errors.Is(err, secrets.ErrExists) || errors.As(err, &foreign) {
		return err
	}
	return &failure{action: fmt.Sprintf("%s the secret %s in the operator's namespace", verb, ref), cause: err}
}

// failure is an error of the API server, with its reason but without its message.
type failure struct {
	action string
	cause  error
}

func (e *failure) Error() string {
	if reason := apierrors.ReasonForError(e.cause); reason != metav1.StatusReasonUnknown {
		return fmt.Sprintf("%s: the API server refuses it (%s)", e.action, reason)
	}
	return e.action + ": the API server did not answer"
}

func (e *failure) Unwrap() error { return e.cause }
