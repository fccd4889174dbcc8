package kubeconfig

import (
	"encoding/json"

	"k8s.io/client-go/rest"
	clientcmd "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/yaml"
)

// ParseFor parses a kubeconfig like Parse, but for the API server at another https
// URL. The field of an *Error about that URL is ServerField.
func ParseFor(data []byte, server string) (*rest.Config, error) {
	cfg, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if cfg.Host, err = checkServer(ServerField, server); err != nil {
		return nil, err
	}
	return cfg, nil
}

// ArgoCDCluster converts a kubeconfig into the JSON in which an Argo CD cluster
// Secret holds the credentials and the certificate authority. The address is in
// another key of that Secret. It returns an *Error if Parse would.
func ArgoCDCluster(data []byte) ([]byte, error) {
	cfg, err := Parse(data)
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

// CA returns the certificate authority of a kubeconfig, in PEM. It returns an
// *Error if the kubeconfig has none, or if Parse would.
func CA(data []byte) ([]byte, error) {
	cfg, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if len(cfg.CAData) == 0 {
		return nil, refuse("clusters[].cluster.certificate-authority-data",
			"it is empty; give the authority that has signed the API server's certificate, even if it is a public one")
	}
	return cfg.CAData, nil
}

// Rewrite returns a kubeconfig with the authority and credentials of data, the
// https URL server as its address, and nothing else. Equal inputs give equal
// bytes. It returns an *Error if ParseFor would.
func Rewrite(data []byte, server string) ([]byte, error) {
	cfg, err := ParseFor(data, server)
	if err != nil {
		return nil, err
	}
	const name = "cluster"
	return yaml.Marshal(clientcmd.Config{
		APIVersion: "v1", Kind: "Config", CurrentContext: name,
		Clusters: []clientcmd.NamedCluster{{Name: name, Cluster: clientcmd.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}}},
		AuthInfos: []clientcmd.NamedAuthInfo{{Name: name, AuthInfo: clientcmd.AuthInfo{
			Token: cfg.BearerToken, ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData,
		}}},
		Contexts: []clientcmd.NamedContext{{Name: name, Context: clientcmd.Context{Cluster: name, AuthInfo: name}}},
	})
}
