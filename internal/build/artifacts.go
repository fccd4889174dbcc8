package build

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// ArtifactRefs returns the credentials of an artifact repository.
func ArtifactRefs(a v1alpha1.Object) []secrets.Ref {
	var refs []secrets.Ref
	for _, permission := range []v1alpha1.Permission{v1alpha1.PermissionReadOnly, v1alpha1.PermissionReadWrite} {
		refs = append(refs, secrets.Artifacts(names.Artifacts(a.GetNamespace(), a.GetName()), string(permission)))
	}
	return refs
}

// artifactRef returns the credential of an artifact repository that a runtime is granted.
// Deployments only read.
func artifactRef(a *v1alpha1.ArtifactRepo, r v1alpha1.Runtime) secrets.Ref {
	refs := ArtifactRefs(a)
	if a.Spec.Permissions == v1alpha1.PermissionReadWrite && r.WorkerType() == v1alpha1.WorkerTypePipeline {
		return refs[1]
	}
	return refs[0]
}

// addPullSecrets adds the image pull secrets of the space to the namespaces of the
// runtimes that may use them, and returns their names for each account.
func (s *space) addPullSecrets() map[accountIn][]string {
	pulls := map[accountIn][]string{}
	added := map[[2]string]bool{}
	accounts := s.accountsIn()
	for _, m := range s.members {
		for _, a := range s.snap.ArtifactRepos(m.runtime) {
			if !a.Spec.HoldsImages() {
				continue
			}
			name := names.PullSecret(a.Name)
			for _, namespace := range m.target.Namespaces {
				at := accountIn{m.target.Account, namespace}
				if _, granted := accounts[at]; !granted || !s.granted(m, namespace) {
					continue
				}
				if !slices.Contains(pulls[at], name) {
					pulls[at] = append(pulls[at], name)
				}
				if key := [2]string{namespace, name}; !added[key] {
					added[key] = true
					s.addPullSecret(namespace, a, artifactRef(a, m.runtime))
				}
			}
		}
	}
	for _, list := range pulls {
		slices.Sort(list)
	}
	return pulls
}

func (s *space) addPullSecret(namespace string, a *v1alpha1.ArtifactRepo, ref secrets.Ref) {
	s.add(plan.StageConfig, secretKind, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: names.PullSecret(a.Name)},
		Type:       corev1.SecretTypeDockerConfigJson,
	}, snapshot.RefOf(a), plan.SecretValue{
		Key: corev1.DockerConfigJsonKey, Ref: ref, Field: keyPassword, Format: plan.FormatDockerConfig, Subject: names.DockerRegistry(a.Spec.Registry),
	})
}

// account returns the ServiceAccount of runtimes, whose Pods pull images by these secrets.
// On a worker for pipelines, Tekton gives them to the steps of its runs too.
func (s *space) account(at accountIn, pulls []string) *corev1.ServiceAccount {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: at.account}}
	for _, name := range pulls {
		account.ImagePullSecrets = append(account.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
		if s.cluster.Spec.WorkerType == v1alpha1.WorkerTypePipeline {
			account.Secrets = append(account.Secrets, corev1.ObjectReference{Name: name})
		}
	}
	return account
}
