// The modules whose manifests are used for demos and tests, and nothing of
// their programs: no package of them is ever built.
module nautes.io/nautes/hack/tools/manifests

go 1.26

require (
	github.com/argoproj/argo-rollouts v1.8.3
	github.com/cert-manager/cert-manager v1.18.2
	github.com/external-secrets/external-secrets v0.19.2
	github.com/traefik/traefik/v3 v3.5.0
)
