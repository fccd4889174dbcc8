package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/remote/kubeconfig"
	"nautes.io/nautes/internal/rest/body"
	"nautes.io/nautes/internal/secrets"
)

const fieldKubeconfig = "kubeconfig"

// saveCluster saves a cluster: its file, and its kubeconfig in the secret store. The
// kubeconfig is stored when the request is found good, and taken back if the commit
// fails.
func (s *Server) saveCluster(x *exchange) error {
	c, err := s.change(x)
	if err != nil {
		return err
	}
	b, _ := c.body.(*body.Cluster)
	content, err := s.kubeconfig(x, c, b)
	if err != nil {
		return err
	}
	return s.commit(x, c, func(r *edit.Request) {
		if content != nil {
			r.Prepare = s.store(secrets.ClusterKubeconfig(x.name), map[string]secrets.Value{fieldKubeconfig: secrets.NewValue(content)})
		}
	})
}

// kubeconfig returns the kubeconfig of a request, or nil if the stored one stays or none
// is needed.
func (s *Server) kubeconfig(x *exchange, c *change, b *body.Cluster) ([]byte, error) {
	where := c.decoded.At("body.kubeconfig")
	o, _ := c.object.(*v1alpha1.Cluster)
	virtual := b.ClusterType == string(v1alpha1.ClusterVirtual)
	if b.Kubeconfig == "" {
		if virtual || c.exists || o.Spec.KubeconfigSecretRef != nil {
			return nil, nil
		}
		_, err := s.options.Secrets.Version(x.r.Context(), secrets.ClusterKubeconfig(x.name))
		if errors.Is(err, secrets.ErrNotFound) {
			return nil, at(http.StatusUnprocessableEntity, where, body.Required, "kubeconfig is missing: a new physical cluster needs one")
		}
		return nil, err
	}
	if virtual {
		c.decoded.Warnings = append(c.decoded.Warnings, "kubeconfig: it is ignored, because a virtual cluster has its own")
		return nil, nil
	}
	content := []byte(b.Kubeconfig)
	if !strings.Contains(b.Kubeconfig, ":") {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(b.Kubeconfig), ""))
		if err != nil {
			return nil, at(http.StatusUnprocessableEntity, where, body.Invalid, "kubeconfig is neither YAML nor base64: send the file as it is, or encode it")
		}
		content = decoded
	}
	var refused *kubeconfig.Error
	if _, err := kubeconfig.Parse(content); errors.As(err, &refused) {
		return nil, at(http.StatusUnprocessableEntity, where, body.Invalid, "%s", refused)
	} else if err != nil {
		return nil, at(http.StatusUnprocessableEntity, where, body.Invalid, "the kubeconfig is refused")
	}
	return content, nil
}

// store returns a step that stores a secret, and can be undone.
func (s *Server) store(ref secrets.Ref, fields map[string]secrets.Value) func(context.Context) (func(context.Context) error, error) {
	return func(ctx context.Context) (func(context.Context) error, error) {
		before, err := s.options.Secrets.Get(ctx, ref)
		missing := errors.Is(err, secrets.ErrNotFound)
		if err != nil && !missing {
			return nil, err
		}
		if _, err := s.options.Secrets.Put(ctx, ref, fields); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			if missing {
				return s.options.Secrets.Delete(ctx, ref)
			}
			_, err := s.options.Secrets.Put(ctx, ref, before.Fields)
			return err
		}, nil
	}
}
