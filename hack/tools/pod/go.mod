module nautes.io/nautes/hack/tools/pod

go 1.26
