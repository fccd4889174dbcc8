package plan

// The bodies of items for TargetForge. Their IDs have GroupForge, one of the
// kinds below, and the name of the CodeRepo as Namespace.

// GroupForge is the group of all items in forges.
const GroupForge = "forge.nautes.io"

// KindForgeHook is the kind of a webhook in a forge.
const KindForgeHook = "Hook"

// Forge is the target of everything that code repositories need in their forges.
var Forge = Target{Kind: TargetForge}

// ForgeHook is a webhook of a code repository. The forge must verify the
// certificate of the URL.
type ForgeHook struct {
	// Provider is the name of the CodeRepoProvider, and Repository the name of
	// the CodeRepo, for example repo-123.
	Provider, Repository string
	// URL that the forge calls.
	URL string
	// Events by the names that the forge's API uses, sorted and without duplicates.
	Events []string
	// Token that the forge sends with each call, so that the receiver can
	// authenticate it.
	Token SecretValue
}

// ForgeHookID returns the ID of a webhook of a code repository. The key
// distinguishes the hooks of one repository.
func ForgeHookID(repository, key string) ID {
	return ID{Group: GroupForge, Kind: KindForgeHook, Namespace: repository, Name: key}
}
