package forgetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"nautes.io/nautes/internal/forge/client"
)

// public returns the public half of a new key.
func (s *suite) public() string {
	s.Helper()
	content, _, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	key, err := ssh.NewPublicKey(content)
	s.must(err)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// wantKeys checks the keys of a repository, without their numbers.
func (s *suite) wantKeys(repository int64, when string, want ...client.Key) {
	s.Helper()
	found, err := s.admin.Keys(s.ctx(), repository)
	s.must(err)
	got := map[string]client.Key{}
	for _, key := range found {
		if key.ID == 0 {
			s.Errorf("%s: the key %s has no number", when, key.Title)
		}
		key.ID = 0
		got[key.Title] = key
	}
	wanted := map[string]client.Key{}
	for _, key := range want {
		wanted[key.Title] = key
	}
	if diff := cmp.Diff(wanted, got); diff != "" || len(found) != len(want) {
		s.Errorf("%s: %d keys (-want +got):\n%s", when, len(found), diff)
	}
}

func keys(s *suite) {
	group := s.group()
	first, second := s.repository(group), s.repository(group)
	s.wantKeys(first.ID, "a new repository")

	read := client.Key{Title: "nautes-readonly", Public: s.public()}
	write := client.Key{Title: "nautes-readwrite", Public: s.public(), CanPush: true}
	commented := read
	commented.Public += " a comment"
	made, err := s.admin.EnsureKey(s.ctx(), first.ID, commented)
	s.must(err)
	if made.ID == 0 || made.Public != read.Public || made.Title != read.Title || made.CanPush {
		s.Errorf("EnsureKey = %+v, want %+v", made, read)
	}
	_, err = s.admin.EnsureKey(s.ctx(), first.ID, write)
	s.must(err)
	s.wantKeys(first.ID, "two keys", read, write)
	again, err := s.admin.EnsureKey(s.ctx(), first.ID, read)
	s.must(err)
	s.same("EnsureKey again", made, again)

	_, err = s.admin.EnsureKey(s.ctx(), second.ID, read)
	s.must(err)
	s.wantKeys(second.ID, "a key of another repository", read)
	s.wantKeys(first.ID, "the other repository has the key too", read, write)

	rotated := read
	rotated.Public = s.public()
	_, err = s.admin.EnsureKey(s.ctx(), first.ID, rotated)
	s.must(err)
	s.wantKeys(first.ID, "a rotated key", rotated, write)
	s.wantKeys(second.ID, "the key before in another repository", read)

	may := rotated
	may.CanPush = true
	_, err = s.admin.EnsureKey(s.ctx(), first.ID, may)
	s.must(err)
	s.wantKeys(first.ID, "a key with another right", may, write)
	renamed := may
	renamed.Title = "renamed"
	_, err = s.admin.EnsureKey(s.ctx(), first.ID, renamed)
	s.must(err)
	s.wantKeys(first.ID, "a key with another title", renamed, write)

	found, err := s.admin.Keys(s.ctx(), second.ID)
	s.must(err)
	if len(found) != 1 {
		s.Fatalf("the second repository has %d keys", len(found))
	}
	s.must(s.admin.RemoveKey(s.ctx(), second.ID, found[0].ID))
	s.wantKeys(second.ID, "a removed key")
	s.must(s.admin.RemoveKey(s.ctx(), second.ID, found[0].ID))
	s.must(s.admin.RemoveKey(s.ctx(), second.ID, 1<<40))
	s.wantKeys(first.ID, "the other repository keeps its keys", renamed, write)

	_, err = s.admin.EnsureKey(s.ctx(), first.ID, client.Key{Title: "nonsense", Public: "ssh-ed25519 AAAA"})
	s.want(err, client.ErrInvalid, "a key that is none")
	_, err = s.admin.Keys(s.ctx(), 1<<40)
	s.want(err, client.ErrNotFound, "the keys of a missing repository")
}
