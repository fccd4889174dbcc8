package body

import (
	"cmp"
	"fmt"
	"strings"
)

// Check reports the problems that a body has by itself, beyond the types of its values.
// The name is the one in the path of the request.
func (d *Decoded) Check(body any, name string) {
	switch b := body.(type) {
	case *Product:
		d.git(b.Git, name, true)
	case *CodeRepo:
		d.git(b.Git, name, false)
	case *ProjectPipelineRuntime:
		d.pipelines(b)
	}
}

// add reports a problem at a location in the spelling of replies.
func (d *Decoded) add(canonical, reason, format string, args ...any) {
	d.report(d.At(canonical), reason, format, args...)
}

func (d *Decoded) git(git *Git, name string, group bool) {
	if git == nil {
		return
	}
	if git.GitHub != nil {
		d.add("body.git.github", NotSupported, "GitHub is not supported: write git.gitlab, which is for Gitea too")
		return
	}
	if git.GitLab == nil {
		d.add("body.git.gitlab", Required, "gitlab is missing: set it")
		return
	}
	path := name
	if group {
		path = name[strings.LastIndex(name, "/")+1:]
	}
	if given := git.GitLab.Path; given != "" && given != name && given != path {
		d.add("body.git.gitlab.path", Conflicting, "path differs from the name in the path of the request: it must be %s", path)
	}
	if !group && git.GitLab.ParentID != 0 {
		d.add("body.git.gitlab.parent_id", NotSupported, "a repository is in the group of its product: leave parent_id out")
	}
}

func (d *Decoded) pipelines(r *ProjectPipelineRuntime) {
	pipelines := map[string]bool{}
	for i, p := range r.Pipelines {
		if p.Name != "" && pipelines[p.Name] {
			d.add(fmt.Sprintf("body.pipelines[%d].name", i), Invalid, "two pipelines have the name %s: choose another one", p.Name)
		}
		pipelines[p.Name] = true
	}
	sources := map[string]bool{}
	for i, s := range r.EventSources {
		if s.Name != "" && sources[s.Name] {
			d.add(fmt.Sprintf("body.event_sources[%d].name", i), Invalid, "two event sources have the name %s: choose another one", s.Name)
		}
		sources[s.Name] = true
		if s.GitLab == nil && s.Gitea == nil && s.Calendar == nil {
			d.add(fmt.Sprintf("body.event_sources[%d]", i), Required, "the event source has neither gitlab, gitea nor calendar: set one of them")
		}
		if c := s.Calendar; c != nil && c.Schedule == "" && c.Interval == "" {
			d.add(fmt.Sprintf("body.event_sources[%d].calendar", i), Required, "the calendar has neither schedule nor interval: set one of them")
		}
	}
	triggers := map[string]bool{}
	for i, t := range r.PipelineTriggers {
		at := fmt.Sprintf("body.pipeline_triggers[%d]", i)
		if t.EventSource != "" && !sources[t.EventSource] {
			d.add(at+".event_source", Invalid, "no event source has the name %s: correct it, or add the event source", t.EventSource)
		}
		if t.Pipeline != "" && !pipelines[t.Pipeline] {
			d.add(at+".pipeline", Invalid, "no pipeline has the name %s: correct it, or add the pipeline", t.Pipeline)
		}
		key := t.EventSource + "\x00" + t.Pipeline + "\x00" + t.Revision
		if triggers[key] {
			d.add(at, Invalid, "two triggers have the same event_source, pipeline and revision: remove one of them")
		}
		triggers[key] = true
	}
	d.hooks(r.Hooks)
	if a := r.AdditionalResources; a != nil && a.Git != nil && a.Git.CodeRepo == "" && a.Git.URL == "" {
		d.add("body.additional_resources.git", Required, "git has neither coderepo nor url: set one of them")
	}
}

// hooks reports hooks that cannot be told apart: two of one kind on a side, and two of
// one name on both sides.
func (d *Decoded) hooks(hooks *Hooks) {
	if hooks == nil {
		return
	}
	before := map[string]bool{}
	for side, all := range [][]Hook{hooks.PreHooks, hooks.PostHooks} {
		at := []string{"body.hooks.pre_hooks", "body.hooks.post_hooks"}[side]
		kinds, named := map[string]bool{}, map[string]bool{}
		for i, h := range all {
			name := cmp.Or(h.Alias, h.Name)
			switch {
			case h.Name == "":
			case kinds[h.Name]:
				d.add(fmt.Sprintf("%s[%d].name", at, i), Invalid, "a hook can be used once on each side: remove one of them, or move it to the other side")
			case named[name] || before[name]:
				d.add(fmt.Sprintf("%s[%d].alias", at, i), Invalid, "another hook has the name %s: set another alias", name)
			}
			kinds[h.Name], named[name] = true, true
		}
		before = named
	}
}
