// Package vault keeps secrets in HashiCorp Vault, and there too what lets the
// accounts of clusters read them. It guarantees that nothing is changed or
// removed that does not bear the mark of its owner, that storing what is stored
// already writes nothing, and that no error holds a secret or a word of Vault's.
//
// # Marks
//
// Vault has no labels, so that what we make bears its owner in a field of its own:
// an auth mount in its description, as
//
//	nautes tenant=<tenant> cluster=<cluster> reviewer=<version of the reviewer's token>
//
// a policy in its first line, as
//
//	# nautes tenant=<tenant> product=<product>
//
// and a role of a mount in the list of its policies, as the policy
//
//	nautes:<tenant>:<product>
//
// which does not exist: it gives nothing, and no policy of a secret can have its
// name. It also says in Vault's audit log for which product an account has asked.
package vault
