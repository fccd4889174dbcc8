package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ComponentCatalogueName is the one name that a catalogue can have: a tenant has
// one catalogue.
const ComponentCatalogueName = "default"

// ComponentCategory is the purpose of a component. Each is a field of a Cluster's
// spec.componentsList, but for virtualCluster, which is no choice of a cluster.
// +kubebuilder:validation:Enum=certManagement;deployment;eventListener;gateway;multiTenant;pipeline;progressiveDelivery;secretManagement;secretSync;oauthProxy;virtualCluster
type ComponentCategory string

// The categories of components.
const (
	CategoryCertManagement      ComponentCategory = "certManagement"
	CategoryDeployment          ComponentCategory = "deployment"
	CategoryEventListener       ComponentCategory = "eventListener"
	CategoryGateway             ComponentCategory = "gateway"
	CategoryMultiTenant         ComponentCategory = "multiTenant"
	CategoryPipeline            ComponentCategory = "pipeline"
	CategoryProgressiveDelivery ComponentCategory = "progressiveDelivery"
	CategorySecretManagement    ComponentCategory = "secretManagement"
	CategorySecretSync          ComponentCategory = "secretSync"
	CategoryOauthProxy          ComponentCategory = "oauthProxy"
	CategoryVirtualCluster      ComponentCategory = "virtualCluster"
)

// ComponentInstallation says who installs a component.
// +kubebuilder:validation:Enum=Managed;External
type ComponentInstallation string

// Who installs a component.
const (
	// InstallationManaged: an Application of the tenant's Argo CD installs it.
	InstallationManaged ComponentInstallation = "Managed"
	// InstallationExternal: it is on the cluster already, or others install it.
	// Nautes relies on it and never changes it.
	InstallationExternal ComponentInstallation = "External"
)

// ComponentRequirement says whether a kind of clusters has a component.
// +kubebuilder:validation:Enum=Required;Default;Possible
type ComponentRequirement string

// Whether a kind of clusters has a component.
const (
	// RequirementRequired: such a cluster always has it, and no other of its category.
	RequirementRequired ComponentRequirement = "Required"
	// RequirementDefault: such a cluster has it unless its componentsList names
	// another one of the category.
	RequirementDefault ComponentRequirement = "Default"
	// RequirementPossible: such a cluster has it when its componentsList names it.
	RequirementPossible ComponentRequirement = "Possible"
)

// ComponentSettingType is the type of a setting's value.
// +kubebuilder:validation:Enum=string;host;port;integer;boolean
type ComponentSettingType string

// The types of settings.
const (
	SettingString  ComponentSettingType = "string"
	SettingHost    ComponentSettingType = "host"
	SettingPort    ComponentSettingType = "port"
	SettingInteger ComponentSettingType = "integer"
	SettingBoolean ComponentSettingType = "boolean"
)

// ComponentCatalogueSpec says how the tenant's catalogue of components differs
// from the built-in one.
type ComponentCatalogueSpec struct {
	// minimumKubernetesVersion of the clusters, for example 1.28. An older cluster gets
	// no components.
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^v?[0-9]+\.[0-9]+(\.[0-9]+)?$`
	// +optional
	MinimumKubernetesVersion string `json:"minimumKubernetesVersion,omitempty"`

	// components that differ from the built-in ones of the same name, or that
	// are not built in. Fields of a built-in one that are left out or empty keep
	// their values; sources and settings are merged by name, other lists are replaced.
	//
	// In the values and patches of sources and in the defaults of settings, a
	// text may hold references, which become values of each cluster:
	// $(cluster.name), $(cluster.apiServer), $(cluster.apiServerHost),
	// $(cluster.primaryDomain), $(cluster.hostCluster), $(component.name),
	// $(component.namespace), $(settings.<name>), $(tenant.name),
	// $(vault.address), $(vault.caBundle), $(vault.namespace),
	// $(vault.authMount), $(git.certificates), which is an object with the
	// authorities of each Git server's host, $(git.proxyEnvironment), which is a
	// list of variables by which git trusts the authorities of proxies, and
	// $(git.knownHosts).
	// Defaults know no $(settings.<name>). A text that is one
	// reference takes the type of its value, and is left out where that is not
	// set; $$( stands for $( itself.
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	// +optional
	Components []CatalogueComponent `json:"components,omitempty"`
}

// CatalogueComponent is a component that clusters can have.
type CatalogueComponent struct {
	// name of the component, for example argocd. The componentsList of a Cluster names it.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSLabel `json:"name"`

	// category that the component is of, a field of the componentsList of a
	// Cluster. A component that is not built in needs one.
	// +optional
	Category ComponentCategory `json:"category,omitempty"`

	// namespace that the component runs in, unless a cluster says otherwise. A
	// component that is not built in needs one, unless it is External; one of the
	// category virtualCluster runs in the namespace of the cluster's name.
	// +optional
	Namespace DNSLabel `json:"namespace,omitempty"`

	// installation says who installs the component: Managed, an Application of
	// the tenant's Argo CD, which is the default, or External, for a component that
	// others install and that is never changed.
	// +optional
	Installation ComponentInstallation `json:"installation,omitempty"`

	// sources of the component's manifests. One with the name of a built-in
	// source changes that.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Sources []ComponentSource `json:"sources,omitempty"`

	// settings that a Cluster can give as additions in its componentsList.
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	// +optional
	Settings []ComponentSetting `json:"settings,omitempty"`

	// after lists the components that must be healthy before this one is
	// installed. Those that a cluster does not have are left out.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	// +optional
	After []DNSLabel `json:"after,omitempty"`

	// namespaces that the component writes to beside its own, for example kube-system.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	// +optional
	Namespaces []DNSLabel `json:"namespaces,omitempty"`

	// clusterResources are the cluster-scoped kinds among the component's
	// manifests. Argo CD installs no others.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	ClusterResources []ClusterResource `json:"clusterResources,omitempty"`

	// rules say which clusters have the component. The first rule that a cluster
	// matches counts; one that matches none has it not.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Rules []ComponentRule `json:"rules,omitempty"`

	// ingress publishes a web page of the component. It replaces the built-in one.
	// +optional
	Ingress *ComponentIngress `json:"ingress,omitempty"`

	// secrets that the component needs in its namespace, filled from the secret
	// store. They replace the built-in ones.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Secrets []ComponentSecret `json:"secrets,omitempty"`
}

// ComponentSource is where manifests of a component come from: a chart of a Helm
// repository, or a directory of a Git repository.
// +kubebuilder:validation:XValidation:rule=`self.?chart.orValue("") == "" || self.?path.orValue("") == ""`,message="chart is for a Helm repository and path for a Git repository: remove one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.values) || self.?patches.orValue([]).size() == 0`,message="values are for a Helm chart and patches for a kustomization: remove one of them"
type ComponentSource struct {
	// name of the source.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSLabel `json:"name"`

	// repoURL of the Helm or Git repository, without credentials. An OCI registry
	// of charts is written without a scheme, for example registry.example.com/charts.
	// +optional
	RepoURL SourceURL `json:"repoURL,omitempty"`

	// chart in the Helm repository.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^(\.?[A-Za-z0-9_][-A-Za-z0-9_.]*(/\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)*)?$`
	// +optional
	Chart string `json:"chart,omitempty"`

	// path of the directory in the Git repository; . is its root.
	// +optional
	Path RelativePath `json:"path,omitempty"`

	// targetRevision is the version of the chart, or the tag or commit of the
	// Git repository.
	// +optional
	TargetRevision Revision `json:"targetRevision,omitempty"`

	// values of the Helm chart. They are merged over the built-in ones, where
	// null removes one and a list replaces one.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +optional
	Values *runtime.RawExtension `json:"values,omitempty"`

	// patches of the manifests of a kustomization. They replace the built-in ones.
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Patches []ComponentPatch `json:"patches,omitempty"`
}

// ComponentPatch changes objects of a kustomization by a JSON patch (RFC 6902).
type ComponentPatch struct {
	// kind of the objects, for example Deployment.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	// +required
	Kind string `json:"kind"`

	// name of the object; all of the kind when empty.
	// +optional
	Name DNSSubdomain `json:"name,omitempty"`

	// operations of the patch.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +required
	Operations []ComponentPatchOperation `json:"operations"`
}

// ComponentPatchOperation is one operation of a JSON patch.
type ComponentPatchOperation struct {
	// op is the kind of the operation.
	// +kubebuilder:validation:Enum=add;replace;remove
	// +required
	Op string `json:"op"`

	// path of the field, for example /spec/template/spec/hostNetwork.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^(/([^~/]|~[01])*)+$`
	// +required
	Path string `json:"path"`

	// value of the field: any JSON but null. The operations add and replace need
	// it, and remove has none.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Value *JSON `json:"value,omitempty"`
}

// ComponentSetting is a setting of a component that each cluster can give.
type ComponentSetting struct {
	// name of the setting, for example httpNodePort.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z][a-zA-Z0-9]*$`
	// +required
	Name string `json:"name"`

	// type of the value: string, which is the default, the name of a host, a node port,
	// an integer or a boolean.
	// +optional
	Type ComponentSettingType `json:"type,omitempty"`

	// default value, for clusters that do not give the setting.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Default string `json:"default,omitempty"`

	// required settings must be given by a cluster, unless there is a default.
	// +optional
	Required *bool `json:"required,omitempty"`
}

// ComponentRule says whether clusters of a kind have a component.
// +kubebuilder:validation:XValidation:rule=`self.usage != "host" || (self.?clusterType.orValue("") != "virtual" && self.?workerType.orValue("") == "")`,message="a host cluster is physical and has no workerType, so no cluster matches the rule: correct or remove it"
type ComponentRule struct {
	// usage of the clusters.
	// +required
	Usage ClusterUsage `json:"usage"`

	// clusterType of the clusters; any when empty.
	// +optional
	ClusterType ClusterType `json:"clusterType,omitempty"`

	// workerType of the clusters; any when empty.
	// +optional
	WorkerType WorkerType `json:"workerType,omitempty"`

	// requirement says whether such a cluster has the component: Required, always
	// and no other of its category; Default, unless its componentsList names
	// another one of the category; Possible, when its componentsList names it.
	// +required
	Requirement ComponentRequirement `json:"requirement"`
}

// ComponentIngress publishes a Service of a component under a host name.
type ComponentIngress struct {
	// hostSetting names the setting, of the type host, that holds the host name.
	// While it has no value, nothing is published.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z][a-zA-Z0-9]*$`
	// +required
	HostSetting string `json:"hostSetting"`

	// service in the component's namespace.
	// +kubebuilder:validation:MinLength=1
	// +required
	Service DNSLabel `json:"service"`

	// port of the Service.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +required
	Port int32 `json:"port"`

	// protected pages have no log in of their own: they are published behind the
	// OAuth proxy only.
	// +optional
	Protected bool `json:"protected,omitempty"`
}

// ComponentSecret is a Secret that a component needs.
type ComponentSecret struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSLabel `json:"name"`

	// path of the secret in the engine tenant of the secret store, for example oauth2-proxy.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`
	// +required
	Path string `json:"path"`

	// keys of the Secret; each is a field of the stored secret.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[-._a-zA-Z0-9]+$`
	// +listType=set
	// +required
	Keys []string `json:"keys"`
}

// ComponentCatalogueStatus reports whether the catalogue is in use.
type ComponentCatalogueStatus struct {
	Status `json:",inline"`
}

// ComponentCatalogue says which components clusters get, and where these come
// from, as far as they differ from the built-in catalogue.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=componentcatalogues,categories=nautes,shortName=ccat
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name == "default"`,message="metadata.name must be default: a tenant has one catalogue"
type ComponentCatalogue struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says how the catalogue differs from the built-in one.
	// +required
	Spec ComponentCatalogueSpec `json:"spec"`

	// status reports whether the catalogue is in use.
	// +optional
	Status ComponentCatalogueStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *ComponentCatalogue) GetStatus() *Status { return &o.Status.Status }

// ComponentCatalogueList is a list of ComponentCatalogue objects.
// +kubebuilder:object:root=true
type ComponentCatalogueList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ComponentCatalogue `json:"items"`
}
