package v1alpha1

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterUsage is the purpose of a cluster.
// +kubebuilder:validation:Enum=host;worker
type ClusterUsage string

// ClusterType is how a cluster exists.
// +kubebuilder:validation:Enum=physical;virtual
type ClusterType string

// WorkerType is the kind of runtimes that a worker carries.
// +kubebuilder:validation:Enum="";pipeline;deployment
type WorkerType string

// Usages, types and worker types of clusters.
const (
	UsageHost            ClusterUsage = "host"
	UsageWorker          ClusterUsage = "worker"
	ClusterPhysical      ClusterType  = "physical"
	ClusterVirtual       ClusterType  = "virtual"
	WorkerTypePipeline   WorkerType   = "pipeline"
	WorkerTypeDeployment WorkerType   = "deployment"
)

// ClusterSpec describes a cluster and its purpose.
// +kubebuilder:validation:XValidation:rule=`self.clusterType == "virtual" ? self.?hostCluster.orValue("") != "" : true`,fieldPath=".hostCluster",reason=FieldValueRequired,message="a virtual cluster needs hostCluster: name the Cluster that carries it"
// +kubebuilder:validation:XValidation:rule=`self.clusterType == "virtual" || self.?hostCluster.orValue("") == ""`,fieldPath=".hostCluster",reason=FieldValueForbidden,message="hostCluster is for virtual clusters: remove it, or set clusterType to virtual"
// +kubebuilder:validation:XValidation:rule=`self.usage != "host" || self.clusterType == "physical"`,fieldPath=".clusterType",reason=FieldValueInvalid,message="a host cluster is physical: set clusterType to physical, or usage to worker"
// +kubebuilder:validation:XValidation:rule=`self.usage != "host" || self.?workerType.orValue("") == ""`,fieldPath=".workerType",reason=FieldValueForbidden,message="a host cluster carries no runtimes: remove workerType, or set usage to worker"
// +kubebuilder:validation:XValidation:rule=`self.usage != "worker" || self.?workerType.orValue("") != ""`,fieldPath=".workerType",reason=FieldValueRequired,message="a worker needs workerType: set it to pipeline or deployment"
// +kubebuilder:validation:XValidation:rule=`self.clusterType == "virtual" || !has(self.vcluster)`,fieldPath=".vcluster",reason=FieldValueForbidden,message="vcluster is for virtual clusters: remove it, or set clusterType to virtual"
// +kubebuilder:validation:XValidation:rule=`self.?tektonHost.orValue("") == "" || self.?workerType.orValue("") == "pipeline"`,fieldPath=".tektonHost",reason=FieldValueForbidden,message="tektonHost is for workers of type pipeline: remove it, or set workerType to pipeline"
// +kubebuilder:validation:XValidation:rule=`!has(self.argocdHost) || !has(self.componentsList) || !has(self.componentsList.deployment) || !has(self.componentsList.deployment.additions) || !("host" in self.componentsList.deployment.additions) || self.argocdHost == "" || self.componentsList.deployment.additions["host"] == "" || self.componentsList.deployment.additions["host"] == self.argocdHost`,fieldPath=".argocdHost",reason=FieldValueInvalid,message="argocdHost and componentsList.deployment.additions.host say different things: remove one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.tektonHost) || !has(self.componentsList) || !has(self.componentsList.pipeline) || !has(self.componentsList.pipeline.additions) || !("host" in self.componentsList.pipeline.additions) || self.tektonHost == "" || self.componentsList.pipeline.additions["host"] == "" || self.componentsList.pipeline.additions["host"] == self.tektonHost`,fieldPath=".tektonHost",reason=FieldValueInvalid,message="tektonHost and componentsList.pipeline.additions.host say different things: remove one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.traefik) || !has(self.traefik.httpNodePort) || !has(self.componentsList) || !has(self.componentsList.gateway) || !has(self.componentsList.gateway.additions) || !("httpNodePort" in self.componentsList.gateway.additions) || self.traefik.httpNodePort == "" || self.componentsList.gateway.additions["httpNodePort"] == "" || self.componentsList.gateway.additions["httpNodePort"] == self.traefik.httpNodePort`,fieldPath=".traefik.httpNodePort",reason=FieldValueInvalid,message="traefik.httpNodePort and componentsList.gateway.additions.httpNodePort say different things: remove one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.traefik) || !has(self.traefik.httpsNodePort) || !has(self.componentsList) || !has(self.componentsList.gateway) || !has(self.componentsList.gateway.additions) || !("httpsNodePort" in self.componentsList.gateway.additions) || self.traefik.httpsNodePort == "" || self.componentsList.gateway.additions["httpsNodePort"] == "" || self.componentsList.gateway.additions["httpsNodePort"] == self.traefik.httpsNodePort`,fieldPath=".traefik.httpsNodePort",reason=FieldValueInvalid,message="traefik.httpsNodePort and componentsList.gateway.additions.httpsNodePort say different things: remove one of them"
type ClusterSpec struct {
	// apiServer is the URL of the cluster's API server.
	// +kubebuilder:validation:MinLength=1
	// +required
	APIServer HTTPURL `json:"apiServer"`

	// clusterKind is the kind of cluster; only kubernetes exists.
	// +kubebuilder:validation:Enum=kubernetes
	// +kubebuilder:default=kubernetes
	// +optional
	ClusterKind string `json:"clusterKind,omitempty"`

	// clusterType says whether the cluster is physical, or virtual on a host cluster.
	// +required
	ClusterType ClusterType `json:"clusterType"`

	// usage says whether the cluster hosts virtual clusters or carries runtimes.
	// +required
	Usage ClusterUsage `json:"usage"`

	// workerType says which runtimes a worker carries.
	// +optional
	WorkerType WorkerType `json:"workerType,omitempty"`

	// hostCluster carries this virtual cluster.
	// +optional
	HostCluster DNSLabel `json:"hostCluster,omitempty"`

	// primaryDomain is the domain under which the hosts of components are made.
	// +optional
	PrimaryDomain DNSSubdomain `json:"primaryDomain,omitempty"`

	// argocdHost is the host name of the cluster's Argo CD.
	// +optional
	ArgoCDHost DNSSubdomain `json:"argocdHost,omitempty"`

	// tektonHost is the host name of the Tekton dashboard; of use on pipeline workers.
	// +optional
	TektonHost DNSSubdomain `json:"tektonHost,omitempty"`

	// traefik configures the cluster's gateway.
	// +optional
	Traefik *TraefikSpec `json:"traefik,omitempty"`

	// vcluster configures a virtual cluster.
	// +optional
	VCluster *VClusterSpec `json:"vcluster,omitempty"`

	// componentsList chooses the implementation of each category of components.
	// +optional
	ComponentsList ComponentsList `json:"componentsList,omitempty"`

	// reservedNamespacesAllowedProducts lets products deploy into the namespaces
	// of components: keyed by the component's name or namespace, with the names
	// of products.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'))`,message="the keys are names of components or their namespaces: at most 63 lower case letters, digits and dashes, as argocd"
	// +kubebuilder:validation:XValidation:rule=`self.all(k, size(self[k]) <= 256)`,message="at most 256 products can be named for one namespace"
	// +optional
	ReservedNamespacesAllowedProducts map[string][]GroupPath `json:"reservedNamespacesAllowedProducts,omitempty"`

	// productAllowedClusterResources lets products deploy cluster-scoped kinds:
	// keyed by the name of the product.
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches(r'^\.?[A-Za-z0-9_][-A-Za-z0-9_.]*(/\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)*$') && size(k) <= 255)`,message="the keys are names of products: the spec.name of a Product, as nautes-labs"
	// +kubebuilder:validation:XValidation:rule=`self.all(k, size(self[k]) <= 256)`,message="at most 256 kinds can be named for one product"
	// +optional
	ProductAllowedClusterResources map[string][]ClusterResource `json:"productAllowedClusterResources,omitempty"`

	// kubeconfigSecretRef names a Secret in the operator's namespace that holds
	// the kubeconfig. Without it, the secret store has it.
	// +optional
	KubeconfigSecretRef *SecretKeyReference `json:"kubeconfigSecretRef,omitempty"`

	// deletionPolicy is the fate of the installed components when the Cluster is
	// deleted: Delete removes them, and a virtual cluster itself; Orphan leaves
	// them as they are. The cluster is unregistered in both cases.
	// +kubebuilder:default=Delete
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// suspend stops the reconciliation of the cluster; its connection stays.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// DeletionPolicy is the fate of the components of a cluster that is deleted.
// +kubebuilder:validation:Enum=Delete;Orphan
type DeletionPolicy string

// Deletion policies.
const (
	DeletionPolicyDelete DeletionPolicy = "Delete"
	DeletionPolicyOrphan DeletionPolicy = "Orphan"
)

// TraefikSpec configures the gateway of a cluster.
type TraefikSpec struct {
	// httpNodePort is the node port of plain HTTP.
	// +optional
	HTTPNodePort NodePort `json:"httpNodePort,omitempty"`

	// httpsNodePort is the node port of HTTPS.
	// +optional
	HTTPSNodePort NodePort `json:"httpsNodePort,omitempty"`
}

// VClusterSpec configures a virtual cluster.
type VClusterSpec struct {
	// httpsNodePort is the node port of the virtual cluster's API server on its host.
	// +optional
	HTTPSNodePort NodePort `json:"httpsNodePort,omitempty"`
}

// ComponentsList chooses one component of each category.
type ComponentsList struct {
	// certManagement issues certificates.
	// +optional
	CertManagement *Component `json:"certManagement,omitempty"`
	// deployment deploys manifests from Git.
	// +optional
	Deployment *Component `json:"deployment,omitempty"`
	// eventListener receives events.
	// +optional
	EventListener *Component `json:"eventListener,omitempty"`
	// gateway lets traffic in.
	// +optional
	Gateway *Component `json:"gateway,omitempty"`
	// multiTenant keeps the namespaces of products together: hnc or native.
	// +optional
	MultiTenant *Component `json:"multiTenant,omitempty"`
	// pipeline runs pipelines.
	// +optional
	Pipeline *Component `json:"pipeline,omitempty"`
	// progressiveDelivery rolls out by steps.
	// +optional
	ProgressiveDelivery *Component `json:"progressiveDelivery,omitempty"`
	// secretManagement keeps secrets.
	// +optional
	SecretManagement *Component `json:"secretManagement,omitempty"`
	// secretSync brings secrets to the cluster.
	// +optional
	SecretSync *Component `json:"secretSync,omitempty"`
	// oauthProxy protects web pages.
	// +optional
	OauthProxy *Component `json:"oauthProxy,omitempty"`
}

// Chosen returns the component of a category that a cluster chooses, or nil if it
// leaves the choice to the catalogue.
func (list *ComponentsList) Chosen(category ComponentCategory) *Component {
	switch category {
	case CategoryCertManagement:
		return list.CertManagement
	case CategoryDeployment:
		return list.Deployment
	case CategoryEventListener:
		return list.EventListener
	case CategoryGateway:
		return list.Gateway
	case CategoryMultiTenant:
		return list.MultiTenant
	case CategoryPipeline:
		return list.Pipeline
	case CategoryProgressiveDelivery:
		return list.ProgressiveDelivery
	case CategorySecretManagement:
		return list.SecretManagement
	case CategorySecretSync:
		return list.SecretSync
	case CategoryOauthProxy:
		return list.OauthProxy
	}
	return nil
}

// Component is one chosen component.
type Component struct {
	// name of the component in the catalogue.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSLabel `json:"name"`

	// namespace of the component; the catalogue's when empty.
	// +optional
	Namespace DNSLabel `json:"namespace,omitempty"`

	// additions are settings of the component.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule=`self.all(k, size(self[k]) <= 4096)`,message="a value is at most 4096 characters long"
	// +optional
	Additions map[string]string `json:"additions,omitempty"`
}

// ClusterResource is a kind of cluster-scoped objects.
type ClusterResource struct {
	// kind of the objects, for example ClusterRole.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	// +required
	Kind string `json:"kind"`

	// group of the kind; empty for the core group.
	// +optional
	Group DNSSubdomain `json:"group,omitempty"`
}

// ClusterStatus is the observed state of a cluster.
type ClusterStatus struct {
	Status `json:",inline"`

	// connection is the state of the connection to the cluster.
	// +optional
	Connection *ConnectionStatus `json:"connection,omitempty"`

	// registered is the identity of the cluster when it was registered. While it
	// differs from the spec, the components of that identity are removed first.
	// +optional
	Registered *ClusterIdentity `json:"registered,omitempty"`

	// progress of the components, for example 7/9 components: seven of nine are ready, or
	// are on the cluster already.
	// +optional
	Progress string `json:"progress,omitempty"`

	// components that the cluster has or gets, in the order of their names.
	// +listType=map
	// +listMapKey=name
	// +optional
	Components []ComponentStatus `json:"components,omitempty"`

	// entryPoints are the ports through which traffic enters the cluster, by the
	// name of the Service.
	// +optional
	EntryPoints map[string]EntryPoint `json:"entryPoints,omitempty"`

	// productIDMap holds the id of each product that the spec names. A name
	// keeps its id until it is removed from the spec.
	// +optional
	ProductIDMap map[string]string `json:"productIDMap,omitempty"`

	// usedBy lists environments, runtimes and virtual clusters on the cluster,
	// at most 20, as kind/namespace/name.
	// +optional
	// +listType=atomic
	UsedBy []string `json:"usedBy,omitempty"`
}

// ConnectionStatus is the state of a connection to a cluster.
type ConnectionStatus struct {
	// version of Kubernetes, for example v1.34.4.
	// +optional
	Version string `json:"version,omitempty"`

	// uid of the cluster's kube-system namespace. Another cluster that answers
	// at the same address is an error.
	// +optional
	UID string `json:"uid,omitempty"`
}

// ClusterIdentity holds the fields that cannot change while a cluster is in use.
type ClusterIdentity struct {
	// clusterKind of the spec.
	// +optional
	ClusterKind string `json:"clusterKind,omitempty"`
	// clusterType of the spec.
	// +required
	ClusterType ClusterType `json:"clusterType"`
	// usage of the spec.
	// +required
	Usage ClusterUsage `json:"usage"`
	// workerType of the spec.
	// +optional
	WorkerType WorkerType `json:"workerType,omitempty"`
	// hostCluster of the spec, for a virtual cluster.
	// +optional
	HostCluster string `json:"hostCluster,omitempty"`
}

// ComponentState is the progress of a component.
// +kubebuilder:validation:Enum=Waiting;Progressing;Ready;Degraded;External
type ComponentState string

// States of a component.
const (
	// ComponentWaiting: it is installed when the components before it are ready,
	// or when something that it needs has arrived.
	ComponentWaiting ComponentState = "Waiting"
	// ComponentProgressing: Argo CD is installing it.
	ComponentProgressing ComponentState = "Progressing"
	// ComponentReady: it is installed as wanted, and healthy.
	ComponentReady ComponentState = "Ready"
	// ComponentDegraded: it could not be installed, or it is not healthy.
	ComponentDegraded ComponentState = "Degraded"
	// ComponentExternal: Nautes does not install it.
	ComponentExternal ComponentState = "External"
)

// ComponentStatus is the state of one component of a cluster.
type ComponentStatus struct {
	// name of the component.
	// +required
	Name string `json:"name"`

	// category of the component.
	// +required
	Category ComponentCategory `json:"category"`

	// namespace that it runs in.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// version that is wanted: the version of the chart, or the tag or commit. The
	// versions of several sources are joined by +.
	// +optional
	Version string `json:"version,omitempty"`

	// application is the Application of the tenant's Argo CD that installs it;
	// empty while there is none.
	// +optional
	Application string `json:"application,omitempty"`

	// state of the component.
	// +required
	State ComponentState `json:"state"`

	// message says why, when the component is not ready.
	// +optional
	Message string `json:"message,omitempty"`

	// since is when the component came to this state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// EntryPoint is a Service that lets traffic into a cluster.
type EntryPoint struct {
	// httpPort is the port of plain HTTP.
	// +optional
	HTTPPort int32 `json:"httpPort,omitempty"`

	// httpsPort is the port of HTTPS.
	// +optional
	HTTPSPort int32 `json:"httpsPort,omitempty"`

	// type of the Service: NodePort or LoadBalancer.
	// +required
	Type string `json:"type"`
}

// Cluster is a Kubernetes cluster that hosts virtual clusters or carries runtimes.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=clusters,categories=nautes,shortName=cls
// +kubebuilder:printcolumn:name="Usage",type=string,JSONPath=`.spec.usage`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.clusterType`
// +kubebuilder:printcolumn:name="Worker",type=string,JSONPath=`.spec.workerType`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.connection.version`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.hostCluster`,priority=1
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.spec.apiServer`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
// +kubebuilder:validation:XValidation:rule=`self.metadata.name != "in-cluster"`,message="metadata.name cannot be in-cluster, the name that Argo CD gives to the cluster that it runs on: choose another name"
// +kubebuilder:validation:XValidation:rule=`self.spec.?hostCluster.orValue("") != self.metadata.name`,fieldPath=".spec.hostCluster",reason=FieldValueInvalid,message="a cluster cannot host itself: name another Cluster in hostCluster"
type Cluster struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the cluster and its purpose.
	// +required
	Spec ClusterSpec `json:"spec"`

	// status is the observed state of the cluster.
	// +optional
	Status ClusterStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *Cluster) GetStatus() *Status { return &o.Status.Status }

// Identity returns the fields of the cluster that cannot change while it is in use.
func (o *Cluster) Identity() ClusterIdentity {
	return ClusterIdentity{
		ClusterKind: cmp.Or(o.Spec.ClusterKind, "kubernetes"), ClusterType: o.Spec.ClusterType,
		Usage: o.Spec.Usage, WorkerType: o.Spec.WorkerType, HostCluster: o.Spec.HostCluster,
	}
}

// ClusterList is a list of Cluster objects.
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
