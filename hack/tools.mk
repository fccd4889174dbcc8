# The programs that tests, the demo and the generators run, each built once into
# bin/ from its own module below hack/tools, away from the product's dependencies.
#
# bin/.<program>-<hash> records what the program was built from: the hash covers
# its module's files and its flags, so that a fresh checkout, whose file times
# mean nothing, rebuilds only what has really changed.

TOOLS_SRC := hack/tools
TOOLS_GO  := GOWORK=off CGO_ENABLED=0 GOFLAGS=-buildvcs=false go

# tools-version <module directory> <module>: the version that go.mod selects, without its v.
tools-version = $(shell awk '$$1 == "require" { sub("require ", "") } $$1 == "$(2)" && $$2 ~ /^v/ { print substr($$2, 2); exit }' $(TOOLS_SRC)/$(1)/go.mod)
tools-word    = $(word $(2),$(subst ., ,$(1)))

TOOLS_K8S    := $(call tools-version,kubernetes,k8s.io/kubernetes)
TOOLS_ARGOCD := $(call tools-version,argocd,github.com/argoproj/argo-cd/v2)
TOOLS_GITEA  := $(call tools-version,gitea,code.gitea.io/gitea)

# Without these the API server calls itself v0.0.0, and clients believe it.
TOOLS_K8S_FLAGS := \
	-X k8s.io/component-base/version.gitVersion=v$(TOOLS_K8S) \
	-X k8s.io/component-base/version.gitMajor=$(call tools-word,$(TOOLS_K8S),1) \
	-X k8s.io/component-base/version.gitMinor=$(call tools-word,$(TOOLS_K8S),2)
TOOLS_ARGOCD_FLAGS := -X github.com/argoproj/argo-cd/v2/common.version=$(TOOLS_ARGOCD)

# tool <program>,<module directory>,<package>,<expected time, cold>,<-X flags>
define tool
TOOLS_HASH_$(1) := $$(shell (cat $(TOOLS_SRC)/$(2)/*; echo '$(3) $(5)') | git hash-object --stdin | cut -c1-12)

bin/.$(1)-$$(TOOLS_HASH_$(1)):
	@mkdir -p bin
	@rm -f bin/.$(1)-*
	@touch $$@

bin/$(1): bin/.$(1)-$$(TOOLS_HASH_$(1))
	@echo "building bin/$(1) from $(3) (about $(4) when nothing is cached)"
	@start=$$$$(date +%s); \
	$(TOOLS_GO) build -C $(TOOLS_SRC)/$(2) -trimpath -ldflags '-s -w $(5)' -o $(CURDIR)/$$@.new $(3) && \
	mv $$@.new $$@ && touch $$@ && \
	echo "built bin/$(1) in $$$$(( $$$$(date +%s) - start )) s"
endef

$(eval $(call tool,etcd,etcd,go.etcd.io/etcd/server/v3,1 minute,))
$(eval $(call tool,kube-apiserver,kubernetes,k8s.io/kubernetes/cmd/kube-apiserver,7 minutes,$(TOOLS_K8S_FLAGS)))
$(eval $(call tool,kube-controller-manager,kubernetes,k8s.io/kubernetes/cmd/kube-controller-manager,2 minutes,$(TOOLS_K8S_FLAGS)))
$(eval $(call tool,hnc-manager,hnc,sigs.k8s.io/hierarchical-namespaces/cmd/manager,3 minutes,))
$(eval $(call tool,argocd,argocd,github.com/argoproj/argo-cd/v2/cmd,6 minutes,$(TOOLS_ARGOCD_FLAGS)))
$(eval $(call tool,redis,redis,.,10 seconds,))
$(eval $(call tool,vault,vault,.,2 minutes,))
$(eval $(call tool,argoevents,argoevents,.,6 minutes,))
$(eval $(call tool,nats-server,nats,github.com/nats-io/nats-server/v2,1 minute,))
$(eval $(call tool,tekton-controller,tekton,github.com/tektoncd/pipeline/cmd/controller,4 minutes,))
$(eval $(call tool,pod,pod,.,5 seconds,))
$(eval $(call tool,gitea,gitea,.,7 minutes,-X main.version=$(TOOLS_GITEA)))
$(eval $(call tool,controller-gen,controller-gen,sigs.k8s.io/controller-tools/cmd/controller-gen,40 seconds,))
$(eval $(call tool,golangci-lint,golangci-lint,.,2 minutes,))

# The pages and texts that Gitea reads when it starts.
bin/gitea-static: bin/gitea
	@rm -rf $@ $@.new && mkdir $@.new
	@source=$$($(TOOLS_GO) -C $(TOOLS_SRC)/gitea list -m -f '{{.Dir}}' code.gitea.io/gitea) && \
	cp -r "$$source/templates" "$$source/options" "$$source/public" $@.new && chmod -R u+w $@.new && mv $@.new $@ && touch $@

# KUBEBUILDER_ASSETS is a directory that holds etcd and kube-apiserver already.
ifeq ($(strip $(KUBEBUILDER_ASSETS)),)
TOOLS_CONTROL_PLANE := bin/etcd bin/kube-apiserver
# The two share most of their packages: built at the same time they would compile them twice.
bin/kube-controller-manager: | bin/kube-apiserver
else
TOOLS_CONTROL_PLANE :=
endif

# What runs pipelines.
TOOLS_PIPELINES := bin/argoevents bin/nats-server bin/tekton-controller bin/pod

.PHONY: tools demo-tools gitea-tools
tools: $(TOOLS_CONTROL_PLANE) bin/kube-controller-manager bin/vault bin/controller-gen ## Build what tests need into bin/: etcd, kube-apiserver, kube-controller-manager, vault, controller-gen.
demo-tools: tools bin/hnc-manager bin/argocd bin/redis $(TOOLS_PIPELINES) ## Build all that the demo runs: the same and Argo CD, HNC, redis, Argo Events, NATS and Tekton.
gitea-tools: bin/gitea bin/gitea-static ## Build the Gitea that tests of the Git forges run.
