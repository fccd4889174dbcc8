package validate

// Rule is a rule of this package.
type Rule string

// The rules. Each error belongs to one of them.
const (
	RuleReference        Rule = "Reference"        // a named object exists
	RuleInUse            Rule = "InUse"            // an object in use is not deleted, and keeps its identity
	RuleClusterKind      Rule = "ClusterKind"      // a cluster is of the usage and type that it is named for
	RuleClusterTwin      Rule = "ClusterTwin"      // a real cluster is registered once
	RuleDestinationFixed Rule = "DestinationFixed" // a deployed runtime does not move
	RuleNamespaceTaken   Rule = "NamespaceTaken"   // no other runtime has the namespace
	RuleGrant            Rule = "Grant"            // a project may use a repository
	RuleRepositoryUsable Rule = "RepositoryUsable" // a named repository can be cloned
	RulePortTaken        Rule = "PortTaken"        // no other cluster has the node port
	RuleSameManifests    Rule = "SameManifests"    // manifests are deployed to an environment once
	RuleEventSource      Rule = "EventSource"      // a repository sends the events that a runtime listens to
	RuleHookUse          Rule = "HookUse"          // a hook fits its place in a runtime
	RuleHookVariables    Rule = "HookVariables"    // variables fit the hook

	RuleOwnNamespace       Rule = "OwnNamespace"       // an object is in the namespace of its product, or the tenant's
	RuleOwnProduct         Rule = "OwnProduct"         // an object names no other product as its own
	RuleRepositoryURL      Rule = "RepositoryURL"      // a repository is in the product's group, with its own credentials
	RuleSystemNamespace    Rule = "SystemNamespace"    // namespaces of the system and of products are not used
	RuleComponentNamespace Rule = "ComponentNamespace" // namespaces of components are not used
	RuleAccountName        Rule = "AccountName"        // an account is not the default one
	RuleClusterName        Rule = "ClusterName"        // a cluster does not have the tenant's name
	RuleHostCluster        Rule = "HostCluster"        // a cluster does not carry itself
	RuleComponents         Rule = "Components"         // components are in the catalogue, and settings fit them
	RulePortTwice          Rule = "PortTwice"          // a cluster takes a node port once
	RulePattern            Rule = "Pattern"            // a grant lists kinds by name
	RuleGroup              Rule = "Group"              // a product names the path of a group
	RuleGroupTaken         Rule = "GroupTaken"         // a group is one product
	RuleAddress            Rule = "Address"            // addresses and certificates of a provider can be used
	RuleManifestPath       Rule = "ManifestPath"       // a path stays within the repository
	RuleCatalogueName      Rule = "CatalogueName"      // a tenant has one catalogue
	RuleEventFilter        Rule = "EventFilter"        // the filters of an event source can be followed
	RuleHookDefinition     Rule = "HookDefinition"     // a hook is complete
	RuleHookNames          Rule = "HookNames"          // the hooks of a runtime have distinct names
	RuleHookBuiltIns       Rule = "HookBuiltIns"       // values for hooks hold no variables of Tekton
)

// Skippable reports whether a request may leave out the rule, so that the objects that
// it needs can be sent later. The operator refuses the object until the rule holds. The
// other rules are borders: of a product, of the tenant, and of the shape of an object.
func (r Rule) Skippable() bool {
	switch r {
	case RuleReference, RuleInUse, RuleClusterKind, RuleClusterTwin, RuleDestinationFixed, RuleNamespaceTaken,
		RuleGrant, RuleRepositoryUsable, RulePortTaken, RuleSameManifests, RuleEventSource, RuleHookUse, RuleHookVariables:
		return true
	}
	return false
}
