package rest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// inGitea changes the cases into the terms of Gitea: its event sources, their events, and
// the places of its deploy keys. All else is the same for both forges.
func (s *suite) inGitea() error {
	for _, c := range s.Cases {
		c.Body, c.Expect.Reply = giteaSources(c.Body), giteaSources(c.Expect.Reply)
		if c.BodyFrom != nil {
			c.BodyFrom.Set, c.BodyFrom.Append = giteaPaths(c.BodyFrom.Set), giteaPaths(c.BodyFrom.Append)
			for i, path := range c.BodyFrom.Unset {
				c.BodyFrom.Unset[i] = giteaPath(path)
			}
		}
		if c.Expect.Problem != nil {
			for _, places := range c.Expect.Problem.Locations {
				for i, place := range places {
					places[i] = giteaPath(place)
				}
			}
		}
		for i, one := range c.Expect.Store {
			if rest, found := strings.CutPrefix(one.Path, "gitlab/"); found {
				c.Expect.Store[i].Path = "gitea/" + rest
			}
		}
		if f := c.Expect.File; f != nil && f.YAML != "" {
			var file any
			if err := yaml.Unmarshal([]byte(f.YAML), &file); err != nil {
				return err
			}
			content, err := yaml.Marshal(giteaSources(file))
			if err != nil {
				return err
			}
			f.YAML = string(content)
		}
	}
	return nil
}

// giteaPath changes a path to a field of an event source.
func giteaPath(path string) string {
	if strings.Contains(path, "event_sources") || strings.Contains(path, "eventSources") {
		return strings.Replace(path, ".gitlab", ".gitea", 1)
	}
	return path
}

func giteaPaths(values map[string]any) map[string]any {
	changed := map[string]any{}
	for path, value := range values {
		value = giteaSources(value)
		if strings.HasSuffix(path, ".gitlab") {
			value = giteaSource(value)
		}
		changed[giteaPath(path)] = value
	}
	return changed
}

// giteaSources changes the event sources in a value.
func giteaSources(value any) any {
	switch container := value.(type) {
	case map[string]any:
		changed := map[string]any{}
		for key, inner := range container {
			if source, isMap := inner.(map[string]any); isMap && key == "gitlab" && source["path"] == nil && source["visibility"] == nil {
				changed["gitea"] = giteaSource(source)
				continue
			}
			changed[key] = giteaSources(inner)
		}
		return changed
	case []any:
		changed := make([]any, len(container))
		for i, inner := range container {
			changed[i] = giteaSources(inner)
		}
		return changed
	}
	return value
}

// giteaSource changes the events of an event source. Gitea reports tags as pushes.
func giteaSource(value any) any {
	source, isMap := value.(map[string]any)
	if !isMap {
		return value
	}
	changed := map[string]any{}
	for key, inner := range source {
		events, isList := inner.([]any)
		if key == "events" && isList {
			var named []any
			for _, event := range events {
				if event == "push_events" || event == "tag_push_events" {
					event = "push"
				}
				if !slices.Contains(named, event) {
					named = append(named, event)
				}
			}
			inner = named
		}
		changed[key] = inner
	}
	return changed
}
