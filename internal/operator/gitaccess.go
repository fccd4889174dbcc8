package operator

import (
	"fmt"
	"os"
	"strings"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/gitaccess"
)

// gitAccess reads the settings for all Git servers.
func gitAccess(c *config.Git) (gitaccess.Access, error) {
	access := gitaccess.Access{Proxy: c.Proxy.URL, NoProxy: strings.Join(c.Proxy.NoProxy, ",")}.Login("", c.Proxy.Login)
	for _, one := range []struct {
		field, path string
		to          *string
		check       func(string) error
	}{
		{"git.caBundleFile", c.CABundleFile, &access.CABundle, gitaccess.CheckCABundle},
		{"git.knownHostsFile", c.KnownHostsFile, &access.KnownHosts, gitaccess.CheckKnownHosts},
	} {
		if one.path == "" {
			continue
		}
		content, err := os.ReadFile(one.path)
		if err != nil {
			return access, fmt.Errorf("read %s of the configuration: %w", one.field, err)
		}
		if err := one.check(string(content)); err != nil {
			return access, fmt.Errorf("%s of the configuration, %s: %w", one.field, one.path, err)
		}
		*one.to = string(content)
	}
	return access, nil
}
