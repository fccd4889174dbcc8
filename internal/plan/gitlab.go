package plan

// The bodies of items for TargetGitLab. IDs have the kinds below, no group, and
// as Namespace the name of the code repository.

// KindGitLabHook is the kind of a hook in GitLab.
const KindGitLabHook = "Hook"

// GitLab is the target of what code repositories need in GitLab.
var GitLab = Target{Kind: TargetGitLab}

// GitLabHook is a hook of a GitLab project: where it sends which events. GitLab
// verifies the address's certificate.
type GitLabHook struct {
	// Provider is the CodeRepoProvider, and Repository the CodeRepo, as repo-123.
	Provider, Repository string
	// URL that events are sent to.
	URL string
	// Events by their names in GitLab's API, each once, in order.
	Events []string
	// Token is what GitLab sends along, so that the receiver can tell it from others.
	Token SecretValue
}

// GitLabHookID returns the ID of a hook of a code repository. The key tells the
// hooks of one repository apart.
func GitLabHookID(repository, key string) ID {
	return ID{Kind: KindGitLabHook, Namespace: repository, Name: key}
}
