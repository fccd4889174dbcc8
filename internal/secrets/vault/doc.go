// Package vault keeps secrets in HashiCorp Vault, together with the mounts, policies and roles
// by which accounts of clusters read them. It guarantees that it changes and removes only
// objects that carry the mark of their owner, that storing equal content writes nothing, and
// that no error holds a secret or a word of Vault's.
//
// # Marks
//
// Vault has no labels. An auth mount has its owner in its description:
//
//	nautes tenant=<tenant> cluster=<cluster> reviewer=<version of the reviewer's token>
//
// A policy has it in its first line:
//
//	# nautes tenant=<tenant> product=<product>
//
// A role of a mount has it in its policies, as a policy that does not exist and grants nothing:
//
//	nautes:<tenant>:<product>
//
// No policy of a secret can have that name. Vault's audit log shows it, too.
package vault
