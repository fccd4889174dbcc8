package devstack

import (
	"bytes"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Config returns the administrator's configuration, with a token and without a limit on
// the rate of requests; the caller owns it.
func (c *ControlPlane) Config() *rest.Config { return rest.CopyConfig(c.admin) }

// ConfigFor issues a client certificate for a user in groups, or returns the token of
// the operator or the controller manager. The audit log names the user: give each writer
// its own to distinguish their requests. system:masters may do everything.
func (c *ControlPlane) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	if token := c.tokens[user]; token != "" {
		return &rest.Config{Host: c.URL, QPS: -1, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: c.authority.certificate}}, nil
	}
	issued, err := c.authority.client(user, groups)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", c.Name, err)
	}
	return &rest.Config{
		Host: c.URL,
		QPS:  -1,
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   c.authority.certificate,
			CertData: issued.certificate,
			KeyData:  issued.key,
		},
	}, nil
}

// Kubeconfig returns the administrator's kubeconfig: server, CA, client
// certificate and key, all inline, as a registered cluster has it.
func (c *ControlPlane) Kubeconfig() []byte { return bytes.Clone(c.kubeconfig) }

// KubeconfigFor is ConfigFor as a kubeconfig.
func (c *ControlPlane) KubeconfigFor(user string, groups ...string) ([]byte, error) {
	config, err := c.ConfigFor(user, groups...)
	if err != nil {
		return nil, err
	}
	return c.encode(config, user)
}

func (c *ControlPlane) encode(config *rest.Config, user string) ([]byte, error) {
	file := clientcmdapi.NewConfig()
	file.Clusters[c.Name] = &clientcmdapi.Cluster{
		Server:                   config.Host,
		CertificateAuthorityData: config.CAData,
	}
	file.AuthInfos[user] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData,
		ClientKeyData:         config.KeyData,
		Token:                 config.BearerToken,
	}
	file.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: user}
	file.CurrentContext = c.Name
	encoded, err := clientcmd.Write(*file)
	if err != nil {
		return nil, fmt.Errorf("encode a kubeconfig of %s: %w", c.Name, err)
	}
	return encoded, nil
}
