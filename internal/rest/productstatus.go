package rest

import (
	"context"

	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/rest/body"
)

// productStatus returns the Product of a group, or nil if there is none, and its state in
// replies. Without a tenant cluster both are nil.
func (s *Server) productStatus(ctx context.Context, group int64) (*v1alpha1.Product, *body.Status, error) {
	if s.options.Reader == nil {
		return nil, nil, nil
	}
	platform, err := s.platform(ctx)
	if err != nil {
		return nil, nil, err
	}
	product, status := &v1alpha1.Product{}, &body.Status{}
	err = s.options.Reader.Get(ctx, kube.ObjectKey{Namespace: platform.Namespace, Name: productID(group)}, product)
	if kube.IgnoreNotFound(err) != nil {
		return nil, nil, err
	}
	if err != nil {
		return nil, status, nil
	}
	status.Current = true
	if sync := product.Status.Sync; sync != nil {
		status.Revision = sync.Revision
	}
	observe(status, &product.Status.Status, func(text string) string { return text })
	return product, status, nil
}

// awaitProduct waits, if the request prefers it, until the tenant cluster has the Product
// of a group, or it is ready. A deleted one is ready when it is gone.
func (s *Server) awaitProduct(x *exchange, group int64, deleted bool, reply *saved) {
	s.wait(x, reply, func(ctx context.Context) error {
		product, status, err := s.productStatus(ctx, group)
		if err != nil {
			return err
		}
		reply.Status = status
		switch {
		case product == nil && deleted:
			reply.Reached = reachedReady
		case product != nil && !deleted:
			reply.Reached = readiness(product)
		}
		return nil
	})
}
