package remote

import (
	"encoding/json"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// ArgoCDCluster turns a kubeconfig into the JSON by which an Argo CD cluster
// Secret holds the credentials and the certificate authority; the address is
// elsewhere in the Secret. What ParseKubeconfig refuses is a *KubeconfigError.
func ArgoCDCluster(kubeconfig []byte) ([]byte, error) {
	cfg, err := ParseKubeconfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	type tlsConfig struct {
		Insecure bool   `json:"insecure"`
		CAData   []byte `json:"caData,omitempty"`
		CertData []byte `json:"certData,omitempty"`
		KeyData  []byte `json:"keyData,omitempty"`
	}
	return json.Marshal(struct {
		BearerToken     string    `json:"bearerToken,omitempty"`
		TLSClientConfig tlsConfig `json:"tlsClientConfig"`
	}{cfg.BearerToken, tlsConfig{CAData: cfg.CAData, CertData: cfg.CertData, KeyData: cfg.KeyData}})
}

// KubeconfigCA returns the certificate authority of a kubeconfig, in PEM. A
// kubeconfig without one, and what ParseKubeconfig refuses, is a *KubeconfigError.
func KubeconfigCA(kubeconfig []byte) ([]byte, error) {
	cfg, err := ParseKubeconfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	if len(cfg.CAData) == 0 {
		return nil, refuse("clusters[].cluster.certificate-authority-data",
			"it is empty; give the authority that has signed the API server's certificate, even if it is a public one")
	}
	return cfg.CAData, nil
}

// RewriteKubeconfig returns a kubeconfig with the authority and credentials of
// data, the https URL server as its address, and nothing else. Equal inputs give
// equal bytes. What ParseKubeconfig refuses is a *KubeconfigError, and so is an
// address that it would refuse, with the field spec.apiServer.
func RewriteKubeconfig(data []byte, server string) ([]byte, error) {
	cfg, err := parseFor(data, server)
	if err != nil {
		return nil, err
	}
	type cluster struct {
		Server string `json:"server"`
		CAData []byte `json:"certificate-authority-data,omitempty"`
	}
	type user struct {
		Token    string `json:"token,omitempty"`
		CertData []byte `json:"client-certificate-data,omitempty"`
		KeyData  []byte `json:"client-key-data,omitempty"`
	}
	const name = "cluster"
	type named map[string]any
	return yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []named{{"name": name, "cluster": cluster{Server: cfg.Host, CAData: cfg.CAData}}},
		"users":    []named{{"name": name, "user": user{Token: cfg.BearerToken, CertData: cfg.CertData, KeyData: cfg.KeyData}}},
		"contexts": []named{{"name": name, "context": named{"cluster": name, "user": name}}},
	})
}

// parseFor reads a kubeconfig for an API server at another address.
func parseFor(kubeconfig []byte, server string) (*rest.Config, error) {
	cfg, err := ParseKubeconfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	if cfg.Host, err = checkServer(serverField, server); err != nil {
		return nil, err
	}
	return cfg, nil
}
