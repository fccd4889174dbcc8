package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/foreign/externalsecrets"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/test/scenario"
)

var errNoExtract = errors.New("the ExternalSecret takes no stored secret")

// fetchCredentials acts as the Pod of External Secrets: as the account of the
// runtime it reads the stored credentials of the repository, and writes them for
// the launchers.
func (d *demo) fetchCredentials(ctx context.Context) error {
	began := time.Now()
	w := d.Clusters[innerName]
	wanted, store := &externalsecrets.ExternalSecret{}, &externalsecrets.SecretStore{}
	name := names.SyncedCredentials(pipelineRuntime)
	if err := readAs(ctx, w, "ExternalSecret", name, wanted); err != nil {
		return err
	}
	if err := readAs(ctx, w, "SecretStore", wanted.Spec.SecretStoreRef.Name, store); err != nil {
		return err
	}
	vault := store.Spec.Provider.Vault
	if len(wanted.Spec.DataFrom) != 1 || vault == nil {
		return errNoExtract
	}
	auth, from := vault.Auth.Kubernetes, wanted.Spec.DataFrom[0]
	account, err := d.Runtimes[innerName].AccountToken(ctx, pipelineNamespace, auth.ServiceAccountRef.Name)
	if err != nil {
		return err
	}
	status, answer, err := d.vault().Request(ctx, http.MethodPost, "auth/"+auth.MountPath+"/login", "", map[string]any{"role": auth.Role, "jwt": account})
	if err != nil {
		return err
	}
	login, _ := answer["auth"].(map[string]any)
	if status != http.StatusOK || login["client_token"] == nil {
		return fmt.Errorf("ServiceAccount %s logs in to Vault: %w: status %d", auth.ServiceAccountRef.Name, errVault, status)
	}
	data, err := d.askVault(ctx, fmt.Sprint(login["client_token"]), http.MethodGet, vault.Path+"/data/"+from.Extract.Key, nil)
	if err != nil {
		return err
	}
	fields, _ := data["data"].(map[string]any)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: pipelineNamespace, Name: wanted.Spec.Target.Name}, StringData: map[string]string{}}
	for key, value := range fields {
		for _, rewrite := range from.Rewrite {
			pattern, err := regexp.Compile(rewrite.Regexp.Source)
			if err != nil {
				return fmt.Errorf("read the ExternalSecret %s: %w", name, err)
			}
			key = pattern.ReplaceAllString(key, rewrite.Regexp.Target)
		}
		secret.StringData[key] = fmt.Sprint(value)
	}
	if err := w.Create(ctx, secret); err != nil {
		return fmt.Errorf("write the credentials of launchers: %w", err)
	}
	d.screen.done(fmt.Sprintf("as External Secrets would, %s/%s read %s", pipelineNamespace, auth.ServiceAccountRef.Name, from.Extract.Key), time.Since(began))
	return nil
}

// readAs reads an object of the runtime's namespace.
func readAs(ctx context.Context, w client.Client, kind, name string, into any) error {
	o := scenario.Object("external-secrets.io/v1", kind, pipelineNamespace, name)
	if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into)
}
