package observed

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// ArgoCDManager is the field manager of Argo CD's server-side apply.
const ArgoCDManager = "argocd-controller"

// The ConfigMaps by which Argo CD knows Git servers, and the key of the host keys.
const (
	trustedCertificates = "argocd-tls-certs-cm"
	trustedHostKeys     = "argocd-ssh-known-hosts-cm"
	hostKeysKey         = "ssh_known_hosts"
)

// trustValues are the values of Argo CD's chart about Git servers.
type trustValues struct {
	Configs struct {
		SSH struct {
			ExtraHosts string `json:"extraHosts"`
		} `json:"ssh"`
		TLS struct {
			Certificates map[string]string `json:"certificates"`
		} `json:"tls"`
	} `json:"configs"`
}

// TrustOf returns the content of Argo CD's ConfigMaps about Git servers that an
// Application installs, by ConfigMap and key.
func TrustOf(application any) (map[string]map[string]string, error) {
	text, err := json.Marshal(application)
	if err != nil {
		return nil, err
	}
	type source struct {
		Helm struct {
			ValuesObject json.RawMessage `json:"valuesObject"`
		} `json:"helm"`
	}
	var app struct {
		Spec struct {
			Source  source   `json:"source"`
			Sources []source `json:"sources"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(text, &app); err != nil {
		return nil, err
	}
	wanted := map[string]map[string]string{}
	for _, one := range append(app.Spec.Sources, app.Spec.Source) {
		var values trustValues
		// Values of another form are not the ones of Argo CD's chart.
		if json.Unmarshal(one.Helm.ValuesObject, &values) != nil {
			continue
		}
		if certificates := values.Configs.TLS.Certificates; len(certificates) > 0 {
			wanted[trustedCertificates] = certificates
		}
		if hosts := values.Configs.SSH.ExtraHosts; hosts != "" {
			wanted[trustedHostKeys] = map[string]string{hostKeysKey: hosts}
		}
	}
	return wanted, nil
}

// ForeignKeys returns the keys of a ConfigMap that have another value than the wanted
// one, and that Argo CD has not applied, with their field managers. A key without a
// manager has none in the result.
func ForeignKeys(c *corev1.ConfigMap, wanted map[string]string) map[string][]string {
	foreign := map[string][]string{}
	for key, value := range wanted {
		have, there := c.Data[key]
		if !there || strings.TrimSpace(have) == strings.TrimSpace(value) {
			continue
		}
		if managers := managersOf(c.ManagedFields, "data", key); !slices.Contains(managers, ArgoCDManager) {
			foreign[key] = managers
		}
	}
	return foreign
}

// managersOf returns the managers of a field, in the order of the entries.
func managersOf(entries []metav1.ManagedFieldsEntry, path ...any) []string {
	var managers []string
	at := fieldpath.MakePathOrDie(path...)
	for _, entry := range entries {
		set := &fieldpath.Set{}
		if entry.FieldsV1 == nil || set.FromJSON(bytes.NewReader(entry.FieldsV1.Raw)) != nil {
			continue
		}
		if set.Has(at) && !slices.Contains(managers, entry.Manager) {
			managers = append(managers, entry.Manager)
		}
	}
	return managers
}
