// Package body holds the bodies of the REST API: the types of requests and replies, and
// their conversion from JSON and to the specs of the kinds. It guarantees that no key of
// a request is dropped in silence, and that a reply can be sent back as a request.
//
// The tags of a field describe it:
//
//	json      the key of replies, and the first spelling of requests; the spelling of the
//	          files is accepted too
//	alias     further spellings of requests, separated by commas
//	file      the key of the spec, if it is not the camelCase of the json key; - for none
//	ref       repo or product: requests have a name where files have an id
//	echo      product or name: requests may repeat the one of their path
//	readonly  requests may have the key; its value is ignored
//	number    requests may have a number instead of a text
//	required  the field must be set
//	enum      the values that are accepted
package body

import "reflect"

// Head begins every body below a product.
type Head struct {
	Product string `json:"product,omitempty" echo:"product" alias:"product_name" file:"-" doc:"Name of the product: the path of its group."`
	Name    string `json:"name,omitempty" echo:"name" file:"-" doc:"Name of the resource. In requests the path says it."`
}

// Tail ends every reply.
type Tail struct {
	Status *Status `json:"status,omitempty" readonly:"true" file:"-" doc:"The state of the resource in the tenant cluster."`
}

// Condition is one condition of a mirrored object.
type Condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	LastTransitionTime string `json:"last_transition_time,omitempty"`
}

// Status is the state of a mirrored object.
type Status struct {
	Conditions []Condition `json:"conditions,omitempty" doc:"Conditions of the object. Ready is the summary."`
	Warnings   []string    `json:"warnings,omitempty" doc:"Settings that have no effect, or another one than expected."`
	Revision   string      `json:"revision,omitempty" doc:"The commit of the repository that was mirrored last."`
	Current    bool        `json:"current" doc:"Whether the tenant cluster has mirrored the revision of this reply."`
	URLs       *URLs       `json:"urls,omitempty" doc:"Web pages about the resource."`
}

// URLs are web pages about a resource.
type URLs struct {
	File        string `json:"file,omitempty" doc:"The resource's file in the forge, at the revision of this reply."`
	Commit      string `json:"commit,omitempty" doc:"The commit in the forge that was mirrored last."`
	Application string `json:"application,omitempty" doc:"The Application in the Argo CD of the runtime's cluster."`
}

// Project is a project of a product.
type Project struct {
	Head
	Language string `json:"language,omitempty" doc:"Programming language, for people."`
	Tail
}

// Environment relates a stage of a product to a cluster.
type Environment struct {
	Head
	Cluster string `json:"cluster,omitempty" required:"true" doc:"Name of a worker cluster."`
	EnvType string `json:"env_type,omitempty" required:"true" doc:"Stage, such as dev, test or production."`
	Tail
}

// CodeRepo is a code repository of a product.
type CodeRepo struct {
	Head
	Project           string   `json:"project,omitempty" doc:"Project that owns the repository; the whole product if empty."`
	Webhook           *Webhook `json:"webhook,omitempty"`
	DeploymentRuntime bool     `json:"deployment_runtime" required:"false" doc:"The repository holds manifests to deploy."`
	PipelineRuntime   bool     `json:"pipeline_runtime" required:"false" doc:"The repository holds pipelines."`
	Git               *Git     `json:"git,omitempty" required:"true" file:"-"`
	Tail
}

// Webhook lists events of a code repository.
type Webhook struct {
	Events []string `json:"events,omitempty" doc:"Events that the hooks of the repository send, by their names in the forge's API."`
}

// Git describes a group or repository of the forge.
type Git struct {
	GitLab *GitLab `json:"gitlab,omitempty"`
	GitHub *GitLab `json:"github,omitempty" doc:"Not supported."`
}

// GitLab describes a group or repository of GitLab or Gitea.
type GitLab struct {
	Name          string `json:"name,omitempty" doc:"Name for people; the path if empty."`
	Path          string `json:"path,omitempty" required:"true" doc:"Path; the name in the path of the request."`
	Visibility    string `json:"visibility,omitempty" required:"true" enum:"private,internal,public"`
	Description   string `json:"description,omitempty"`
	ParentID      int64  `json:"parent_id,omitempty" doc:"Id of the parent group. It must agree with the path."`
	SSHURLToRepo  string `json:"ssh_url_to_repo,omitempty" readonly:"true"`
	HTTPURLToRepo string `json:"http_url_to_repo,omitempty" readonly:"true"`
}

// Product is a group of the forge with a repository default.project.
type Product struct {
	Name string `json:"name,omitempty" echo:"name" alias:"product_name" doc:"Path of the group. In requests the path says it."`
	Git  *Git   `json:"git,omitempty" required:"true"`
	Tail
}

// CodeRepoBinding grants a code repository to projects.
type CodeRepoBinding struct {
	Head
	CodeRepo    string   `json:"coderepo,omitempty" required:"true" alias:"code_repo" file:"codeRepo" ref:"repo" doc:"Name of the repository. It cannot change."`
	Projects    []string `json:"projects,omitempty" doc:"Projects that may use the repository; all projects if empty."`
	Permissions string   `json:"permissions,omitempty" enum:"readonly,readwrite" doc:"readonly if empty."`
	Tail
}

// DeploymentRuntime deploys manifests to an environment.
type DeploymentRuntime struct {
	Head
	ProjectsRef    []string               `json:"projects_ref,omitempty" doc:"Projects that are deployed."`
	ManifestSource *ManifestSource        `json:"manifest_source,omitempty" required:"true"`
	Destination    *DeploymentDestination `json:"destination,omitempty" required:"true"`
	Account        string                 `json:"account,omitempty" doc:"ServiceAccount of the runtime; its name if empty."`
	Suspend        bool                   `json:"suspend,omitempty" doc:"Stops the reconciliation. Deployed objects stay."`
	Tail
}

// ManifestSource is the place of manifests in a repository.
type ManifestSource struct {
	CodeRepo       string `json:"code_repo,omitempty" required:"true" alias:"coderepo" ref:"repo" doc:"Name of the repository."`
	TargetRevision string `json:"target_revision,omitempty" doc:"Branch, tag or commit; HEAD if empty."`
	Path           string `json:"path,omitempty" required:"true" doc:"Directory in the repository."`
}

// DeploymentDestination is the place that a runtime deploys to.
type DeploymentDestination struct {
	Environment string   `json:"environment,omitempty" required:"true"`
	Namespaces  []string `json:"namespaces,omitempty" doc:"Namespaces; the name of the runtime if empty."`
}

// Identify sets the names that a reply begins with.
func Identify(body any, product, name string) {
	v := reflect.ValueOf(body).Elem()
	v.FieldByName("Name").SetString(name)
	if field := v.FieldByName("Product"); field.IsValid() {
		field.SetString(product)
	}
}

// NameOf returns the name of a reply.
func NameOf(body any) string { return reflect.ValueOf(body).Elem().FieldByName("Name").String() }

// StatusOf returns the status of a reply, or nil.
func StatusOf(body any) *Status {
	status, _ := reflect.ValueOf(body).Elem().FieldByName("Status").Interface().(*Status)
	return status
}

// SetStatus sets the status of a reply.
func SetStatus(body any, status *Status) {
	reflect.ValueOf(body).Elem().FieldByName("Status").Set(reflect.ValueOf(status))
}
