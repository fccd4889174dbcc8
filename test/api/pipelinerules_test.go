package api_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// end is the place after the last item of a list.
const end = math.MaxInt

func trigger(eventSource, pipeline, revision string) map[string]any {
	t := map[string]any{"eventSource": eventSource, "pipeline": pipeline}
	if revision != "" {
		t["revision"] = revision
	}
	return t
}

func TestPipelineTriggers(t *testing.T) {
	triggers := []any{"spec", "pipelineTriggers"}
	pipeline := map[string]any{"name": "main", "path": "other.yaml"}
	source := map[string]any{"name": "push", "calendar": map[string]any{"interval": "1h"}}
	checkRules(t, filled(t, "ProjectPipelineRuntime"), map[string]ruleCase{
		"as it is":                 {},
		"no triggers":              {changes: []change{set([]any{}, triggers...)}, wantErr: "should have at least 1 items"},
		"no pipelines":             {changes: []change{set([]any{}, "spec", "pipelines")}, wantErr: "should have at least 1 items"},
		"no event sources":         {changes: []change{set([]any{}, "spec", "eventSources")}, wantErr: "should have at least 1 items"},
		"a pipeline twice":         {changes: []change{set(pipeline, "spec", "pipelines", end)}, wantErr: "Duplicate value"},
		"an event source twice":    {changes: []change{set(source, "spec", "eventSources", end)}, wantErr: "Duplicate value"},
		"an unknown source":        {changes: []change{set(trigger("tag", "main", ""), append(triggers, end)...)}, wantErr: "a trigger names an event source that is not in eventSources"},
		"an unknown pipeline":      {changes: []change{set(trigger("push", "release", ""), append(triggers, end)...)}, wantErr: "a trigger names a pipeline that is not in pipelines"},
		"a trigger twice":          {changes: []change{set(trigger("nightly", "main", ""), append(triggers, end)...)}, wantErr: "two triggers have the same eventSource, pipeline and revision"},
		"a trigger twice, at main": {changes: []change{set(trigger("push", "main", "main"), append(triggers, end)...)}, wantErr: "two triggers have the same"},
		"an empty revision":        {changes: []change{set("", "spec", "pipelineTriggers", 1, "revision"), set(trigger("nightly", "main", ""), append(triggers, end)...)}, wantErr: "two triggers have the same"},
		"another revision":         {changes: []change{set(trigger("push", "main", "release"), append(triggers, end)...)}},
		"no revision":              {changes: []change{set(trigger("push", "main", ""), append(triggers, end)...)}},
		"no isolation":             {changes: []change{remove("spec", "isolation")}, wantErr: "Required value"},
		"an unknown isolation":     {changes: []change{set("none", "spec", "isolation")}, wantErr: "Unsupported value"},
		"the default namespace":    {changes: []change{remove("spec", "destination", "namespace")}},
		"an empty namespace":       {changes: []change{set("", "spec", "destination", "namespace")}},
	})
}

func TestEventSources(t *testing.T) {
	gitlab := func(field string) []any { return []any{"spec", "eventSources", 0, "gitlab", field} }
	calendar := func(field string) []any { return []any{"spec", "eventSources", 1, "calendar", field} }
	gitea := func(field string) []any { return []any{"spec", "eventSources", 2, "gitea", field} }
	const wantType = "an event source needs a type: set gitlab, gitea or calendar"
	const wantTime = "a calendar needs schedule or interval"
	checkRules(t, filled(t, "ProjectPipelineRuntime"), map[string]ruleCase{
		"both types":             {changes: []change{set("1h", "spec", "eventSources", 0, "calendar", "interval")}},
		"no type":                {changes: []change{remove("spec", "eventSources", 0, "gitlab")}, wantErr: wantType},
		"a name with dots":       {changes: []change{set("a.b", "spec", "pipelineTriggers", 0, "eventSource"), set("a.b", "spec", "eventSources", 0, "name")}},
		"no events":              {changes: []change{set([]any{}, gitlab("events")...)}, wantErr: "should have at least 1 items"},
		"an unknown event":       {changes: []change{set([]any{"push"}, gitlab("events")...)}, wantErr: "Unsupported value"},
		"an event twice":         {changes: []change{set([]any{"push_events", "push_events"}, gitlab("events")...)}, wantErr: "Duplicate value"},
		"actions of none":        {changes: []change{set([]any{"push_events"}, gitlab("events")...), set([]any{"merge"}, gitlab("mergeRequestActions")...)}, wantErr: "has no effect without merge_requests_events"},
		"statuses of none":       {changes: []change{set([]any{"push_events"}, gitlab("events")...), set([]any{"failed"}, gitlab("deploymentStatuses")...)}, wantErr: "has no effect without deployment_events"},
		"actions":                {changes: []change{set([]any{"merge_requests_events"}, gitlab("events")...), set([]any{"merge", "push"}, gitlab("mergeRequestActions")...), remove(gitlab("deploymentStatuses")...)}},
		"an unknown action":      {changes: []change{set([]any{"label"}, gitlab("mergeRequestActions")...)}, wantErr: "Unsupported value"},
		"every ref":              {changes: []change{remove(gitlab("revision")...)}},
		"schedule only":          {changes: []change{remove(calendar("interval")...)}},
		"interval only":          {changes: []change{remove(calendar("schedule")...)}},
		"no time":                {changes: []change{remove(calendar("interval")...), remove(calendar("schedule")...)}, wantErr: wantTime},
		"empty times":            {changes: []change{set("", calendar("interval")...), set("", calendar("schedule")...)}, wantErr: wantTime},
		"no time zone":           {changes: []change{set("", calendar("timezone")...)}},
		"both forges":            {changes: []change{set("repo-2", "spec", "eventSources", 0, "gitea", "repoName"), set([]any{"push"}, "spec", "eventSources", 0, "gitea", "events")}, wantErr: "listens to one code repository"},
		"a calendar and Gitea":   {changes: []change{set("1h", "spec", "eventSources", 2, "calendar", "interval")}},
		"Gitea, no events":       {changes: []change{set([]any{}, gitea("events")...), remove(gitea("pullRequestActions")...)}, wantErr: "should have at least 1 items"},
		"Gitea, GitLab's event":  {changes: []change{set([]any{"push_events", "pull_request"}, gitea("events")...)}, wantErr: "Unsupported value"},
		"Gitea, actions of none": {changes: []change{set([]any{"push"}, gitea("events")...)}, wantErr: "has no effect without pull_request"},
		"Gitea, no repository":   {changes: []change{remove(gitea("repoName")...)}, wantErr: "Required value"},
		"no repository":          {changes: []change{remove(gitlab("repoName")...)}, wantErr: "Required value"},
		"no dates":               {changes: []change{set([]any{}, calendar("exclusionDates")...)}},
		"a date that is none":    {changes: []change{set([]any{"Christmas"}, calendar("exclusionDates")...)}, wantErr: "write a date or a date and time"},
		"a time zone like ../x":  {changes: []change{set("../x", calendar("timezone")...)}, wantErr: "write the name of a time zone"},
	})
}

func TestPipelineInputs(t *testing.T) {
	source := []any{"spec", "pipelineTriggers", 0, "inputs", 0, "source"}
	const want = "an input has exactly one source"
	checkRules(t, filled(t, "ProjectPipelineRuntime"), map[string]ruleCase{
		"no inputs":           {changes: []change{remove("spec", "pipelineTriggers", 0, "inputs")}},
		"no source":           {changes: []change{set(map[string]any{}, source...)}, wantErr: want},
		"two sources":         {changes: []change{set("ref", append(source, "fromEvent")...)}, wantErr: want},
		"from the event":      {changes: []change{set(map[string]any{"fromEvent": "commitID"}, source...)}},
		"built in":            {changes: []change{set(map[string]any{"builtInVar": "ServiceAccount"}, source...)}},
		"an unknown variable": {changes: []change{set(map[string]any{"builtInVar": "Password"}, source...)}, wantErr: "Unsupported value"},
		"no way into the run": {changes: []change{remove("spec", "pipelineTriggers", 0, "inputs", 0, "transmissionMethod", "kustomization")}, wantErr: "Required value"},
	})
}

func TestAdditionalResources(t *testing.T) {
	codeRepo, url := []any{"spec", "additionalResources", "git", "codeRepo"}, []any{"spec", "additionalResources", "git", "url"}
	const want = "say which repository holds the manifests"
	checkRules(t, filled(t, "ProjectPipelineRuntime"), map[string]ruleCase{
		"a code repository": {changes: []change{remove(url...)}},
		"a url":             {changes: []change{remove(codeRepo...)}},
		"neither":           {changes: []change{remove(url...), remove(codeRepo...)}, wantErr: want},
		"empty texts":       {changes: []change{set("", url...), set("", codeRepo...)}, wantErr: want},
		"none at all":       {changes: []change{set(map[string]any{}, "spec", "additionalResources")}},
		"no revision":       {changes: []change{remove("spec", "additionalResources", "git", "revision")}, wantErr: "Required value"},
	})
}

func TestHooks(t *testing.T) {
	hook := func(name, alias string) map[string]any {
		h := map[string]any{"name": name}
		if alias != "" {
			h["alias"] = alias
		}
		return h
	}
	pre, post := []any{"spec", "hooks", "preHooks"}, []any{"spec", "hooks", "postHooks"}
	const wantOnce = "a hook can be used once on each side"
	const wantName = "two hooks on one side have the same name"
	const wantNames = "a hook before and a hook after have the same name"
	tests := map[string]ruleCase{
		"none at all":            {changes: []change{set(map[string]any{}, "spec", "hooks")}},
		"empty lists":            {changes: []change{set([]any{}, pre...), set([]any{}, post...)}},
		"one side":               {changes: []change{remove(post...)}},
		"the same, two aliases":  {changes: []change{set([]any{hook("ls", "a")}, pre...), set([]any{hook("ls", "b")}, post...)}},
		"the same, one alias":    {changes: []change{set([]any{hook("ls", "")}, pre...), set([]any{hook("ls", "b")}, post...)}},
		"the same, no alias":     {changes: []change{set([]any{hook("ls", "")}, pre...), set([]any{hook("ls", "")}, post...)}, wantErr: wantNames},
		"the same alias":         {changes: []change{set([]any{hook("ls", "x")}, pre...), set([]any{hook("cp", "x")}, post...)}, wantErr: wantNames},
		"an alias like a name":   {changes: []change{set([]any{hook("ls", "cp")}, pre...), set([]any{hook("cp", "")}, post...)}, wantErr: wantNames},
		"an alias of ours":       {changes: []change{set([]any{hook("ls", "nautes-launch")}, pre...)}, wantErr: "names that begin with nautes- are reserved for the steps of Nautes"},
		"a name of ours":         {changes: []change{set([]any{hook("nautes-launch", "")}, post...)}, wantErr: "set another alias"},
		"a name like ours":       {changes: []change{set([]any{hook("nautes-launch", "nautes")}, post...)}},
		"an alias on one side":   {changes: []change{set([]any{hook("ls", "x"), hook("cp", "x")}, pre...)}, wantErr: wantName},
		"swapped names":          {changes: []change{set([]any{hook("ls", "cp"), hook("cp", "ls")}, pre...), remove(post...)}},
		"twice before":           {changes: []change{set([]any{hook("ls", "a"), hook("ls", "b")}, pre...)}, wantErr: wantOnce},
		"twice after":            {changes: []change{set([]any{hook("ls", "a"), hook("ls", "b")}, post...)}, wantErr: wantOnce},
		"several hooks":          {changes: []change{set([]any{hook("ls", ""), hook("cp", "")}, pre...), set([]any{hook("mv", "")}, post...)}},
		"a variable like $(x)":   {changes: []change{set("v", append(pre, 0, "vars", "$(x)")...)}, wantErr: "the keys are names of variables"},
		"a variable with a dash": {changes: []change{set("v", append(pre, 0, "vars", "image-name")...)}},
		"a long value":           {changes: []change{set(fmt.Sprintf("%04097d", 0), append(pre, 0, "vars", "a")...)}, wantErr: "a value is at most 4096 characters long"},
	}
	checkRules(t, filled(t, "ProjectPipelineRuntime"), tests)
}

// The API server stops rules that cost too much while they run. The largest
// runtime that the limits allow must not reach that.
func TestTheLargestRuntimeIsAccepted(t *testing.T) {
	const long = "0123456789-0123456789-0123456789-0123456789-0123456789-01234"
	var pipelines, sources, triggers, inputs, dates, hooks []any
	for range 32 {
		inputs = append(inputs, map[string]any{
			"source":             map[string]any{"builtInVar": "PipelineRevision"},
			"transmissionMethod": map[string]any{"kustomization": map[string]any{"path": "/" + strings.Repeat("a", 255)}},
		})
	}
	for i := range 100 {
		dates = append(dates, fmt.Sprintf("2024-12-24T17:00:00.%09d+01:00", i))
	}
	for i := range 100 {
		pipelines = append(pipelines, map[string]any{"name": fmt.Sprintf("%s%03d", long, i), "path": strings.Repeat("a", 1024)})
		sources = append(sources, map[string]any{
			"name":     fmt.Sprintf("%s%03d", long, i),
			"calendar": map[string]any{"schedule": "0 17 * * 1-5", "interval": "1h", "exclusionDates": dates},
		})
	}
	for i := range 200 {
		triggers = append(triggers, map[string]any{
			"eventSource": fmt.Sprintf("%s%03d", long, 99-i%100), "pipeline": fmt.Sprintf("%s%03d", long, 99-i/2),
			"revision": fmt.Sprintf("%s%03d", long, i), "inputs": inputs[:i%32],
		})
	}
	for i := range 32 {
		hooks = append(hooks, map[string]any{"name": fmt.Sprintf("%s-%02d", long, i)})
	}
	checkRules(t, filled(t, "ProjectPipelineRuntime"), map[string]ruleCase{
		"all limits": {changes: []change{
			set(pipelines, "spec", "pipelines"), set(sources, "spec", "eventSources"), set(triggers, "spec", "pipelineTriggers"),
			set(hooks, "spec", "hooks", "preHooks"),
		}},
		"a pipeline more":      {changes: []change{set(append(pipelines, pipelines[0]), "spec", "pipelines")}, wantErr: "must have at most 100 items"},
		"an event source more": {changes: []change{set(append(sources, sources[0]), "spec", "eventSources")}, wantErr: "must have at most 100 items"},
		"a trigger more":       {changes: []change{set(append(triggers, triggers[0]), "spec", "pipelineTriggers")}, wantErr: "must have at most 200 items"},
	})
}
