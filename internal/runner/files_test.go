package runner

// fileRun is a typical PipelineRun.
const fileRun = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  generateName: build-
  labels:
    team: blue
    nautes.io/product: another-product
  annotations:
    note: kept
    x.nautes.io/y: dropped
spec:
  params:
  - name: revision
  - name: platforms
    value: [linux, darwin]
  pipelineSpec:
    params:
    - name: revision
    - name: platforms
      type: array
    tasks:
    - name: build
      params:
      - name: revision
        value: $(params.revision)
      taskSpec:
        params:
        - name: revision
        steps:
        - name: build
          image: registry.example.com/builder:1
          args: ["$(params.revision)"]
`

// filePipeline is a Pipeline with parameters of all types.
const filePipeline = `apiVersion: tekton.dev/v1
kind: Pipeline
metadata:
  name: build
  labels: {team: blue}
spec:
  params:
  - name: revision
  - name: platforms
    type: array
    default: [linux]
  - name: level
    default: debug
  tasks:
  - name: build
    params:
    - name: revision
      value: $(params.revision)
    taskSpec:
      params:
      - name: revision
      steps:
      - name: build
        image: registry.example.com/builder:1
        args: ["$(params.revision)"]
`

// fileRunOld and filePipelineOld have fields that v1 renamed or moved.
const fileRunOld = `apiVersion: tekton.dev/v1beta1
kind: PipelineRun
metadata:
  name: old
spec:
  serviceAccountName: admin
  timeout: 10m
  params:
  - name: revision
  pipelineSpec:
    params:
    - name: revision
    tasks:
    - name: build
      params:
      - name: revision
        value: $(params.revision)
      taskSpec:
        params:
        - name: revision
        steps:
        - name: build
          image: registry.example.com/builder:1
          resources:
            requests: {cpu: 100m}
          args: ["$(params.revision)"]
`

const filePipelineOld = `apiVersion: tekton.dev/v1beta1
kind: Pipeline
metadata:
  name: old
spec:
  params:
  - name: revision
  tasks:
  - name: build
    taskRef:
      resolver: bundles
      params:
      - {name: bundle, value: "registry.example.com/tasks:1"}
      - {name: name, value: build}
      - {name: kind, value: task}
    params:
    - name: revision
      value: $(params.revision)
`

// fileReference runs a pipeline of the cluster.
const fileReference = `{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"namespace": "kube-system"},
 "spec": {"pipelineRef": {"name": "build"}, "taskRunTemplate": {"serviceAccountName": "admin"},
  "taskRunSpecs": [{"pipelineTaskName": "build", "serviceAccountName": "root"}, {"pipelineTaskName": "test"}]}}
`
