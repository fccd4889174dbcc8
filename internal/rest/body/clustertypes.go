package body

// Cluster is a runtime cluster or a host of virtual clusters.
type Cluster struct {
	Name                              string                       `json:"name,omitempty" echo:"name" file:"-" doc:"Name of the cluster. In requests the path says it."`
	APIServer                         string                       `json:"api_server,omitempty" required:"true" doc:"URL of the API server."`
	ClusterKind                       string                       `json:"cluster_kind,omitempty" required:"true" enum:"kubernetes"`
	ClusterType                       string                       `json:"cluster_type,omitempty" required:"true" enum:"physical,virtual"`
	Usage                             string                       `json:"usage,omitempty" required:"true" enum:"host,worker"`
	WorkerType                        string                       `json:"worker_type,omitempty" enum:"pipeline,deployment" doc:"Required for a worker."`
	HostCluster                       string                       `json:"host_cluster,omitempty" doc:"Host of a virtual cluster."`
	PrimaryDomain                     string                       `json:"primary_domain,omitempty"`
	TektonHost                        string                       `json:"tekton_host,omitempty"`
	ArgoCDHost                        string                       `json:"argocd_host,omitempty"`
	Traefik                           *Traefik                     `json:"traefik,omitempty"`
	VCluster                          *VCluster                    `json:"vcluster,omitempty"`
	ComponentsList                    *ComponentsList              `json:"components_list,omitempty"`
	ReservedNamespacesAllowedProducts map[string][]string          `json:"reserved_namespaces_allowed_products,omitempty" doc:"Names of products by component or namespace."`
	ProductAllowedClusterResources    map[string][]ClusterResource `json:"product_allowed_cluster_resources,omitempty" doc:"Kinds that products may deploy, by the name of the product."`
	DeletionPolicy                    string                       `json:"deletion_policy,omitempty" enum:"Delete,Orphan"`
	Suspend                           bool                         `json:"suspend,omitempty"`
	Kubeconfig                        string                       `json:"kubeconfig,omitempty" file:"-" doc:"Kubeconfig, as YAML or in base64. Required for a new cluster that is not virtual. It is kept in the secret store and never answered." writeOnly:"true"`
	Tail
}

// Traefik configures the gateway of a cluster.
type Traefik struct {
	HTTPNodePort  string `json:"http_node_port,omitempty" number:"true"`
	HTTPSNodePort string `json:"https_node_port,omitempty" number:"true"`
}

// VCluster configures a virtual cluster.
type VCluster struct {
	HTTPSNodePort string `json:"https_node_port,omitempty" number:"true"`
}

// ClusterResource is a kind of objects without a namespace.
type ClusterResource struct {
	Kind  string `json:"kind,omitempty" required:"true"`
	Group string `json:"group,omitempty"`
}

// ComponentsList chooses components of a cluster.
type ComponentsList struct {
	CertManagement      *Component `json:"cert_management,omitempty"`
	Deployment          *Component `json:"deployment,omitempty"`
	EventListener       *Component `json:"event_listener,omitempty"`
	Gateway             *Component `json:"gateway,omitempty"`
	MultiTenant         *Component `json:"multi_tenant,omitempty"`
	Pipeline            *Component `json:"pipeline,omitempty"`
	ProgressiveDelivery *Component `json:"progressive_delivery,omitempty"`
	SecretManagement    *Component `json:"secret_management,omitempty"`
	SecretSync          *Component `json:"secret_sync,omitempty"`
	OauthProxy          *Component `json:"oauth_proxy,omitempty"`
}

// Component is a chosen component.
type Component struct {
	Name      string            `json:"name,omitempty" required:"true"`
	Namespace string            `json:"namespace,omitempty"`
	Additions map[string]string `json:"additions,omitempty"`
}
