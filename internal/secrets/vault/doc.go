// Package vault keeps secrets in HashiCorp Vault, together with the mounts,
// policies and roles by which accounts of clusters read them. It guarantees that
// it changes and removes only objects that carry the mark of their owner, that
// storing equal content writes nothing, and that no error holds a secret or a word
// of Vault's.
//
// # Marks
//
// Vault has no labels. Each object carries its owner in a field of its own. An auth
// mount has it in its description:
//
//	nautes tenant=<tenant> cluster=<cluster> reviewer=<version of the reviewer's token>
//
// A policy has it in its first line:
//
//	# nautes tenant=<tenant> product=<product>
//
// A role of a mount has it in the list of its policies, as a policy that does not
// exist and so grants nothing:
//
//	nautes:<tenant>:<product>
//
// No policy of a secret can have that name. In Vault's audit log it also shows the
// product for which an account has asked.
package vault
