package rest

import (
	"cmp"
	"context"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/rest/body"
)

// reader makes the replies of one repository's resources.
type reader struct {
	s      *Server
	ctx    context.Context
	res    *resource
	place  *place
	view   *edit.View
	names  *names
	forge  map[string]client.Repository
	synced string
}

// open returns a reader of the resources that a request is for.
func (s *Server) open(x *exchange) (*reader, error) {
	ctx := x.r.Context()
	p, err := s.place(ctx, x.caller, x.product)
	if err != nil {
		return nil, err
	}
	r := &reader{s: s, ctx: ctx, res: x.op.resource, place: p}
	if r.view, err = s.options.Editor.View(ctx, p.edit, s.options.MaxAge); err != nil {
		return nil, err
	}
	r.names = newNames(ctx, x.caller, p, r.view)
	r.synced, err = s.synced(ctx, p)
	return r, err
}

// synced returns the revision of a repository that the tenant cluster has mirrored, or
// an empty string if it is not known.
func (s *Server) synced(ctx context.Context, p *place) (string, error) {
	if s.options.Reader == nil {
		return "", nil
	}
	var sync *v1alpha1.SyncStatus
	if p.product == "" {
		repositories := &v1alpha1.CodeRepoList{}
		selected := kube.MatchingLabelsSelector{Selector: hasLabel(v1alpha1.LabelTenantRepository)}
		if err := s.options.Reader.List(ctx, repositories, kube.InNamespace(p.platform.Namespace), selected); err != nil {
			return "", err
		}
		if len(repositories.Items) == 1 {
			sync = repositories.Items[0].Status.Sync
		}
	} else {
		product := &v1alpha1.Product{}
		err := s.options.Reader.Get(ctx, kube.ObjectKey{Namespace: p.platform.Namespace, Name: p.namespace()}, product)
		if err != nil {
			return "", kube.IgnoreNotFound(err)
		}
		sync = product.Status.Sync
	}
	if sync == nil {
		return "", nil
	}
	return sync.Revision, nil
}

func hasLabel(name string) labels.Selector {
	selector, err := labels.Parse(name)
	if err != nil {
		return labels.Nothing()
	}
	return selector
}

// item returns the reply of one resource.
func (r *reader) item(entry edit.Entry) (any, error) {
	b := r.res.body()
	if err := body.Reply(spec(entry.Object), b, r.names.name); err != nil {
		return nil, err
	}
	body.Identify(b, r.place.product, entry.Object.GetName())
	if repo, ok := b.(*body.CodeRepo); ok {
		object, _ := entry.Object.(*v1alpha1.CodeRepo)
		r.describe(repo, object)
	}
	status, err := r.status(entry)
	if err == nil && status != nil {
		body.SetStatus(b, status)
	}
	return b, err
}

// describe adds the state of the forge to the reply of a code repository.
func (r *reader) describe(b *body.CodeRepo, o *v1alpha1.CodeRepo) {
	b.Name = cmp.Or(o.Spec.RepoName, o.Name)
	b.Git = &body.Git{GitLab: &body.GitLab{Name: b.Name, Path: b.Name}}
	if f, found := r.forge[o.Name]; found {
		b.Git.GitLab.Name, b.Git.GitLab.Visibility, b.Git.GitLab.Description = f.Name, string(f.Visibility), f.Description
		b.Git.GitLab.SSHURLToRepo, b.Git.GitLab.HTTPURLToRepo = f.SSHURL, f.HTTPURL
	}
}

// status returns the state of an object of a file, or nil if there is no tenant cluster.
func (r *reader) status(entry edit.Entry) (*body.Status, error) {
	if r.s.options.Reader == nil {
		return nil, nil
	}
	mirrored, err := r.mirrored(entry.Object)
	if err != nil {
		return nil, err
	}
	status := &body.Status{Revision: r.synced}
	if mirrored != nil {
		status.Current = r.synced != "" && r.synced == r.view.Revision()
		r.observe(status, mirrored.GetStatus())
	}
	status.URLs = &body.URLs{File: r.place.page(r.view.Revision(), entry.Path), Commit: r.place.page(r.synced, "")}
	if runtime, ok := mirrored.(*v1alpha1.DeploymentRuntime); ok {
		status.URLs.Application, err = r.application(runtime)
	}
	if *status.URLs == (body.URLs{}) {
		status.URLs = nil
	}
	return status, err
}

// mirrored returns the object of the tenant cluster, or nil if there is none.
func (r *reader) mirrored(o v1alpha1.Object) (v1alpha1.Object, error) {
	stored, ok := o.DeepCopyObject().(v1alpha1.Object)
	if !ok {
		return nil, nil
	}
	err := r.s.options.Reader.Get(r.ctx, kube.ObjectKey{Namespace: r.place.namespace(), Name: o.GetName()}, stored)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return stored, err
}

// observe adds conditions and warnings in the words of requests.
func (r *reader) observe(status *body.Status, observed *v1alpha1.Status) {
	observe(status, observed, func(text string) string { return r.names.words(r.res.body(), nil, text) })
}

// observe adds conditions and warnings in other words.
func observe(status *body.Status, observed *v1alpha1.Status, words func(string) string) {
	for _, w := range observed.Warnings {
		status.Warnings = append(status.Warnings, words(w))
	}
	for _, c := range observed.Conditions {
		status.Conditions = append(status.Conditions, body.Condition{
			Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: words(c.Message),
			LastTransitionTime: c.LastTransitionTime.UTC().Format("2006-01-02T15:04:05Z"),
		})
	}
}

// page returns the web page of a commit, or of a file in it, or an empty string if it is
// not known.
func (p *place) page(commit, path string) string {
	kind, _ := forges.Of(p.platform.Provider.Spec.ProviderType)
	switch {
	case commit == "" || p.forge.WebURL == "" || kind.Pages == forge.Pages{}:
		return ""
	case path == "":
		return p.forge.WebURL + kind.Pages.Commit + commit
	}
	return p.forge.WebURL + kind.Pages.File + commit + "/" + (&url.URL{Path: path}).EscapedPath()
}

// application returns the web page of a runtime's Application in the Argo CD of its
// cluster, or an empty string if it is not known.
func (r *reader) application(runtime *v1alpha1.DeploymentRuntime) (string, error) {
	target, app := runtime.Status.Target, runtime.Status.Application
	if target == nil || app == nil {
		return "", nil
	}
	read := func(name string) (*v1alpha1.Cluster, error) {
		c := &v1alpha1.Cluster{}
		err := r.s.options.Reader.Get(r.ctx, kube.ObjectKey{Namespace: r.place.platform.Namespace, Name: name}, c)
		return c, kube.IgnoreNotFound(err)
	}
	cluster, err := read(target.Cluster)
	if err != nil || cluster.Spec.ArgoCDHost == "" {
		return "", err
	}
	entry := cluster
	if cluster.Spec.HostCluster != "" {
		if entry, err = read(cluster.Spec.HostCluster); err != nil {
			return "", err
		}
	}
	host := cluster.Spec.ArgoCDHost
	for _, point := range entry.Status.EntryPoints {
		if len(entry.Status.EntryPoints) == 1 && point.HTTPSPort != 0 && point.HTTPSPort != 443 {
			host = fmt.Sprintf("%s:%d", host, point.HTTPSPort)
		}
	}
	return "https://" + host + "/applications/" + app.Namespace + "/" + app.Name, nil
}
