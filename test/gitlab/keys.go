package gitlab

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// deployKey is a public key. It belongs to the user who has made it.
type deployKey struct {
	id            int64
	title, public string
	md5, sha256   string
	user          int64
	created       time.Time
}

// enabledKey is a deploy key of a project. The right to push is the project's.
type enabledKey struct {
	key     *deployKey
	canPush bool
}

func keyRoutes() []route {
	const source = "lib/api/deploy_keys.rb"
	const base = "/projects/:id/deploy_keys"
	return []route{
		{
			method: "GET", path: base, args: strings.TrimSpace(paging), level: Maintainer, scopes: readScopes(), source: source,
			serve: func(c *call) reply { return c.page(list(c.project.enabled, projectKeyRow)) },
		},
		{
			method: "POST", path: base, args: "key! title! can_push:bool expires_at", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: (*call).addKey,
		},
		{
			method: "GET", path: base + "/:key_id", level: Maintainer, scopes: readScopes(), source: source,
			serve: func(c *call) reply {
				if enabled := c.enabledKey(); enabled != nil {
					return ok(projectKeyRow(*enabled))
				}
				return notFound("Deploy key")
			},
		},
		{
			method: "PUT", path: base + "/:key_id", args: "title can_push:bool", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: (*call).updateKey,
		},
		{
			method: "DELETE", path: base + "/:key_id", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: func(c *call) reply {
				enabled := c.enabledKey()
				if enabled == nil {
					return notFound("Deploy key")
				}
				c.disableKey(c.project, enabled.key)
				return noContent()
			},
		},
		{
			method: "POST", path: base + "/:key_id/enable", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: (*call).enableKey,
		},
	}
}

// keyRow is a key without a project. It has no can_push.
func keyRow(key *deployKey) object {
	return object{
		"id": key.id, "title": key.title, "key": key.public, "fingerprint": key.md5, "fingerprint_sha256": key.sha256,
		"created_at": stamp(key.created), "expires_at": nil,
	}
}

func projectKeyRow(enabled enabledKey) object {
	row := keyRow(enabled.key)
	row["can_push"] = enabled.canPush
	return row
}

func (c *call) enabledKey() *enabledKey {
	id, _ := c.variable("key_id")
	for i := range c.project.enabled {
		if c.project.enabled[i].key.id == id {
			return &c.project.enabled[i]
		}
	}
	return nil
}

// accessible reports whether the caller may use a key of another project: one that the
// caller is a member of has it.
func (c *call) accessible(key *deployKey) bool {
	return slices.ContainsFunc(c.projects, func(p *project) bool {
		return p.has(key) && c.level(c.user, &p.space) >= Guest
	})
}

func (p *project) has(key *deployKey) bool {
	return slices.ContainsFunc(p.enabled, func(enabled enabledKey) bool { return enabled.key == key })
}

func (c *call) addKey() reply {
	text := strings.TrimSpace(c.text("key"))
	// GitLab looks for the text as it comes, and stores it without the words after the
	// first word of the comment.
	for _, enabled := range c.project.enabled {
		if enabled.key.public == text {
			return created(projectKeyRow(enabled))
		}
	}
	enabled := enabledKey{canPush: c.flag("can_push", false)}
	for _, key := range c.keys {
		if key.public == text && c.accessible(key) {
			enabled.key = key
			c.project.enabled = append(c.project.enabled, enabled)
			return created(projectKeyRow(enabled))
		}
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case err != nil || strings.Contains(text, "\n"):
		return problems("is invalid", "deploy_key.key")
	case strings.TrimSpace(c.text("title")) == "":
		return problems("can't be blank", "deploy_key.title")
	}
	key := newDeployKey(parsed)
	if slices.ContainsFunc(c.keys, func(other *deployKey) bool { return other.sha256 == key.sha256 }) {
		return problems("has already been taken", "deploy_key.fingerprint_sha256")
	}
	words := strings.Fields(text)
	key.public = strings.Join(words[:min(len(words), 3)], " ")
	key.id, key.title, key.user, key.created = c.id(), c.text("title"), c.user.ID, c.now()
	c.keys = append(c.keys, key)
	enabled.key = key
	c.project.enabled = append(c.project.enabled, enabled)
	return created(projectKeyRow(enabled))
}

func newDeployKey(parsed ssh.PublicKey) *deployKey {
	sum := md5.Sum(parsed.Marshal())
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02x", b)
	}
	long := sha256.Sum256(parsed.Marshal())
	return &deployKey{
		md5:    strings.Join(parts, ":"),
		sha256: "SHA256:" + base64.RawStdEncoding.EncodeToString(long[:]),
	}
}

func (c *call) updateKey() reply {
	enabled := c.enabledKey()
	if enabled == nil {
		return notFound("Deploy key")
	}
	if !c.has("title") && !c.has("can_push") {
		return invalid("title, can_push are missing, at least one parameter must be provided")
	}
	if c.has("title") {
		enabled.key.title = c.text("title")
	}
	enabled.canPush = c.flag("can_push", enabled.canPush)
	return reply{status: http.StatusOK, body: projectKeyRow(*enabled)}
}

func (c *call) enableKey() reply {
	id, _ := c.variable("key_id")
	for _, key := range c.keys {
		if key.id != id || !c.accessible(key) {
			continue
		}
		if !c.project.has(key) {
			c.project.enabled = append(c.project.enabled, enabledKey{key: key})
		}
		return created(keyRow(key))
	}
	return notFound("Deploy key")
}

// disableKey takes a key from a project. A key that no project has any more is gone.
func (s *Server) disableKey(p *project, key *deployKey) {
	p.enabled = slices.DeleteFunc(p.enabled, func(enabled enabledKey) bool { return enabled.key == key })
	if !slices.ContainsFunc(s.projects, func(other *project) bool { return other.has(key) }) {
		s.keys = slices.DeleteFunc(s.keys, func(other *deployKey) bool { return other == key })
	}
}

// findForKey returns the directory of the project with the path of an SSH request, which
// has the deploy key. Without a path, any key of a project is good.
func (s *Server) findForKey(key ssh.PublicKey, path string) (dir string, ok bool) {
	fingerprint := newDeployKey(key).sha256
	s.read(func() {
		for _, p := range s.projects {
			if path != "" && p.full()+".git" != path && p.full() != path {
				continue
			}
			if slices.ContainsFunc(p.enabled, func(enabled enabledKey) bool { return enabled.key.sha256 == fingerprint }) {
				dir, ok = p.dir, true
			}
		}
	})
	return dir, ok
}
