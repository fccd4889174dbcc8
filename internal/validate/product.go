package validate

import (
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/giturl"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) environment(e *v1alpha1.Environment) {
	c.ofProduct(e, e.Spec.Product)
	at := field.NewPath("spec", "cluster")
	cluster := c.s.Cluster(e.Spec.Cluster)
	switch {
	case cluster == nil:
		c.missing(at, "Cluster", c.s.Namespace, e.Spec.Cluster)
	case cluster.Spec.Usage != v1alpha1.UsageWorker:
		c.fail(RuleClusterKind, v1alpha1.ReasonInvalid, at, e.Spec.Cluster,
			"Cluster %s is a %s and carries no runtimes: name a cluster whose usage is worker", cluster.Name, cluster.Spec.Usage)
	}
	if elsewhere, users := c.deployedElsewhere(e); len(users) > 0 {
		c.fail(RuleDestinationFixed, v1alpha1.ReasonDestinationImmutable, at, e.Spec.Cluster,
			"runtimes of the environment are deployed on cluster %s: set spec.cluster back to it, or delete and create again %s",
			elsewhere, listRefs(users))
	}
	for _, other := range c.s.Environments(e.Namespace) {
		if other.Spec.Cluster == e.Spec.Cluster && snapshot.Older(other, e) {
			c.warn(at, "Environment %s is on cluster %s already, and runtimes of both share the product's accounts and namespaces there: use one environment for each cluster",
				other.Name, e.Spec.Cluster)
			break
		}
	}
}

// deployedElsewhere returns the runtimes of an environment that cannot move and are
// on record on another cluster than it names now, and one such cluster.
func (c *checker) deployedElsewhere(e *v1alpha1.Environment) (cluster string, users []plan.Ref) {
	for _, r := range c.s.Runtimes(e.Namespace) {
		recorded := r.DeployedTarget()
		if !v1alpha1.Movable(r) && recorded != nil && recorded.Environment == e.Name && recorded.Cluster != e.Spec.Cluster {
			cluster = recorded.Cluster
			users = append(users, snapshot.RefOf(r))
		}
	}
	return cluster, users
}

func (c *checker) codeRepo(r *v1alpha1.CodeRepo) {
	if r.Namespace != c.s.Namespace {
		c.ofProduct(r, r.Spec.Product)
		if r.Spec.Project != "" && c.s.Project(r.Namespace, r.Spec.Project) == nil {
			c.missing(field.NewPath("spec", "project"), "Project", r.Namespace, r.Spec.Project)
		}
	}
	url, err := c.s.RepositoryURL(r)
	var missing *snapshot.MissingError
	var wrong *snapshot.RepositoryError
	switch {
	case errors.As(err, &missing) && missing.Missing.Kind == "Product" && r.Namespace != c.s.Namespace:
		// The check of the namespace has recorded it.
	case errors.As(err, &missing):
		at := field.NewPath("spec", "codeRepoProvider")
		if missing.Missing.Kind == "Product" {
			at = field.NewPath("spec", "product")
		}
		c.missing(at, missing.Missing.Kind, missing.Missing.Namespace, missing.Missing.Name)
	case errors.As(err, &wrong) && wrong.Repo == snapshot.RefOf(r):
		c.fail(RuleRepositoryURL, wrong.Reason(), field.NewPath(wrong.Field), field.OmitValueType{}, "%s", wrong.Problem)
	case err != nil:
		c.fail(RuleRepositoryURL, v1alpha1.ReasonInvalid, field.NewPath("spec", "codeRepoProvider"), r.Spec.CodeRepoProvider, "%s", err)
	default:
		c.sameURL(r, url)
	}
}

// sameURL warns when an older repository of the product has the same URL, in whatever spelling.
func (c *checker) sameURL(r *v1alpha1.CodeRepo, url string) {
	for _, other := range c.s.CodeRepos(r.Namespace) {
		if !snapshot.Older(other, r) {
			continue
		}
		if same, _ := c.s.RepositoryURL(other); giturl.Repository(same) == giturl.Repository(url) {
			at := field.NewPath("spec", "repoName")
			if r.Spec.URL != "" {
				at = field.NewPath("spec", "url")
			}
			c.warn(at, "%s is the same repository, so a runtime that may use one of the two may use both: remove one of them", snapshot.RefOf(other))
			return
		}
	}
}

func (c *checker) codeRepoBinding(b *v1alpha1.CodeRepoBinding) {
	c.ofProduct(b, b.Spec.Product)
	if c.s.CodeRepo(b.Namespace, b.Spec.CodeRepo) == nil {
		c.missing(field.NewPath("spec", "codeRepo"), "CodeRepo", b.Namespace, b.Spec.CodeRepo)
	}
	c.projects(field.NewPath("spec", "projects"), b.Namespace, b.Spec.Projects)
}

func (c *checker) artifactRepo(a *v1alpha1.ArtifactRepo) {
	c.ofProduct(a, a.Spec.Product)
	c.projects(field.NewPath("spec", "projects"), a.Namespace, a.Spec.Projects)
	if !a.Spec.HoldsImages() && c.s.Settings.Vault == nil {
		c.warn(field.NewPath("spec", "packageType"), "the secret store is not Vault, so no account can read credentials of the type %s: have the tenant use Vault, or remove the object", a.Spec.PackageType)
	}
}

// projects checks that each project of a list exists.
func (c *checker) projects(at *field.Path, product string, names []string) {
	for i, name := range names {
		if c.s.Project(product, name) == nil {
			c.missing(at.Index(i), "Project", product, name)
		}
	}
}

// destination is the input of the rules for both kinds of runtimes.
type destination struct {
	runtime v1alpha1.Runtime
	// at is the path of the destination, namespaceAt the path of a namespace.
	at          *field.Path
	namespaceAt func(i int) *field.Path
}

// checkDestination holds the rules about where a runtime goes.
func (c *checker) checkDestination(d destination) {
	environment, namespaces := d.runtime.Destination()
	cluster := c.runtimeCluster(d, environment)
	for i, namespace := range namespaces {
		c.usableNamespace(d.namespaceAt(i), cluster, namespace)
	}
	if account := d.runtime.AccountName(); account == "default" {
		c.fail(RuleAccountName, v1alpha1.ReasonInvalid, field.NewPath("spec", "account"), account,
			"every namespace has a ServiceAccount of that name already: use another account")
	}
	if !v1alpha1.Movable(d.runtime) {
		c.immutable(d, cluster)
	}
	c.claims(d)
}

// runtimeCluster returns the cluster that the spec of a runtime leads to, or nil and
// records an error if there is none.
func (c *checker) runtimeCluster(d destination, environment string) *v1alpha1.Cluster {
	at := d.at.Child("environment")
	product, worker := d.runtime.GetNamespace(), d.runtime.WorkerType()
	env := c.s.Environment(product, environment)
	if env == nil {
		c.missing(at, "Environment", product, environment)
		return nil
	}
	cluster := c.s.Cluster(env.Spec.Cluster)
	if cluster == nil {
		c.fail(RuleReference, v1alpha1.ReasonReferenceMissing, at, environment,
			"Cluster %s/%s, which %s names, does not exist: register it, or correct the environment", c.s.Namespace, env.Spec.Cluster, snapshot.RefOf(env))
		return nil
	}
	if cluster.Spec.Usage != v1alpha1.UsageWorker || cluster.Spec.WorkerType != worker {
		c.fail(RuleClusterKind, v1alpha1.ReasonInvalid, at, environment,
			"Cluster %s of the environment carries no %s runtimes: use an environment on a worker cluster of the type %s", cluster.Name, worker, worker)
	} else if worker == v1alpha1.WorkerTypePipeline {
		c.pipelineComponents(at, cluster, environment)
	}
	if twin := c.s.ClusterTwin(cluster); twin != nil {
		c.fail(RuleClusterTwin, v1alpha1.ReasonInvalid, at, environment,
			"Cluster %s of the environment is the same cluster as %s: use an environment on that one", cluster.Name, twin.Name)
	}
	return cluster
}

// pipelineComponents refuses a cluster that cannot listen to events or run
// pipelines.
func (c *checker) pipelineComponents(at *field.Path, cluster *v1alpha1.Cluster, environment string) {
	for _, category := range []v1alpha1.ComponentCategory{v1alpha1.CategoryEventListener, v1alpha1.CategoryPipeline} {
		if _, ok := c.s.ChoiceOf(cluster, category); !ok {
			c.fail(RuleClusterKind, v1alpha1.ReasonInvalid, at, environment,
				"Cluster %s of the environment has no component of the category %s: choose one in its spec.componentsList, or use another environment", cluster.Name, category)
		}
	}
}

// usableNamespace refuses the namespaces of Kubernetes, of products and of
// components. Without a cluster only the catalogue is known.
func (c *checker) usableNamespace(at *field.Path, cluster *v1alpha1.Cluster, namespace string) {
	if snapshot.SystemNamespace(namespace) {
		c.fail(RuleSystemNamespace, v1alpha1.ReasonInvalid, at, namespace,
			"namespace %s is reserved: use one that is neither default nor begins with kube- or product-", namespace)
		return
	}
	if cluster == nil {
		return
	}
	if owner := c.s.ComponentNamespace(cluster, namespace); owner != "" {
		c.fail(RuleComponentNamespace, v1alpha1.ReasonInvalid, at, namespace,
			"namespace %s belongs to the component %s: use another one; manifests may name it themselves where the cluster grants it to the product", namespace, owner)
	}
}

// immutable refuses to move a deployed runtime.
func (c *checker) immutable(d destination, cluster *v1alpha1.Cluster) {
	recorded := d.runtime.DeployedTarget()
	if recorded == nil {
		return
	}
	environment, namespaces := d.runtime.Destination()
	where := "the runtime is deployed to " + strings.Join(recorded.Namespaces, ", ") + " on cluster " + recorded.Cluster +
		" (environment " + recorded.Environment + ") and cannot move: undo the change, or delete the runtime and create it again"
	switch {
	case environment != recorded.Environment:
		c.fail(RuleDestinationFixed, v1alpha1.ReasonDestinationImmutable, d.at.Child("environment"), environment, "%s", where)
	case cluster != nil && cluster.Name != recorded.Cluster:
		c.fail(RuleDestinationFixed, v1alpha1.ReasonDestinationImmutable, d.at.Child("environment"), environment,
			"Environment %s now names cluster %s; %s", environment, cluster.Name, where)
	}
	switch first := recorded.Namespaces[0]; {
	case !snapshot.SameNamespaces(namespaces, recorded.Namespaces):
		c.fail(RuleDestinationFixed, v1alpha1.ReasonDestinationImmutable, d.namespaceAt(-1), namespaces, "%s", where)
	case namespaces[0] != first:
		c.warn(d.namespaceAt(-1), "manifests without a namespace stay in %s, which was the first one when the runtime was deployed: list it first, or delete the runtime and create it again", first)
	}
}

// claims refuses namespaces that another runtime has.
func (c *checker) claims(d destination) {
	target, ok := c.s.EffectiveTarget(d.runtime)
	if !ok {
		return
	}
	if v1alpha1.Movable(d.runtime) {
		// It may be deployed elsewhere, and moves to the target of its spec.
		if wanted, err := c.s.Target(d.runtime); err == nil {
			target = wanted
		}
	}
	_, namespaces := d.runtime.Destination()
	for _, namespace := range target.Namespaces {
		claim, ok := c.s.ClaimOf(d.runtime, target.Cluster, namespace)
		if !ok || claim.Granted() {
			continue
		}
		at := d.namespaceAt(slices.Index(namespaces, namespace))
		if claim.LosesTo.Namespace != d.runtime.GetNamespace() {
			c.fail(RuleNamespaceTaken, v1alpha1.ReasonNamespaceClaimed, at, namespace,
				"namespace %s on cluster %s is used by %s of another product: use another namespace", namespace, target.Cluster, claim.LosesTo)
			continue
		}
		c.fail(RuleNamespaceTaken, v1alpha1.ReasonNamespaceClaimed, at, namespace,
			"namespace %s on cluster %s is used by %s, and a pipeline runtime shares its namespace with no other runtime: use another namespace",
			namespace, target.Cluster, claim.LosesTo)
	}
}

// permission checks that a project may use a code repository which exists and
// can be cloned.
func (c *checker) permission(at *field.Path, product, repo string, projects []string) {
	r := c.s.CodeRepo(product, repo)
	if r == nil {
		c.missing(at, "CodeRepo", product, repo)
		return
	}
	c.repositoryURL(at, repo, r)
	var denied []string
	for _, project := range projects {
		if c.s.Permission(product, project, repo) != "" {
			continue
		}
		if project == "" {
			c.fail(RuleGrant, v1alpha1.ReasonPermissionDenied, at, repo,
				"%s is not granted to the whole product: name the projects that use it, or add a CodeRepoBinding without projects", snapshot.RefOf(r))
			continue
		}
		denied = append(denied, project)
	}
	if len(denied) > 0 {
		c.fail(RuleGrant, v1alpha1.ReasonPermissionDenied, at, repo,
			"%s is not granted to %s: add a CodeRepoBinding for it, or use a repository of the project", snapshot.RefOf(r), strings.Join(denied, ", "))
	}
}
