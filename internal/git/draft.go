package git

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Draft is a commit to make. Author and committer are the same.
type Draft struct {
	Name, Email string
	// Time of the commit, to the second.
	Time    time.Time
	Message string
	// Files holds the new content of files by their paths, and nil for a file to remove.
	Files map[string][]byte
}

// BlobHash returns the hash of a content as a blob of the repository of a commit.
func BlobHash(commit string, content []byte) string {
	h := sha1.New()
	if len(commit) == sha256Digits {
		h = sha256.New()
	}
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

const (
	// draftRef is the reference of the commits in their quarantine.
	draftRef = "refs/heads/draft"
	// marksFile lists the hashes of new objects in a quarantine.
	marksFile = "marks"
)

// quarantine creates a bare repository that borrows the objects of a mirror. Objects
// that are created in it stay there, so that a failed push leaves nothing behind.
func (m *Mirrors) quarantine(entry *mirror) (dir string, err error) {
	config, err := os.ReadFile(filepath.Join(entry.dir, "config"))
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(m.scratch, "push-"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	for _, path := range []string{"refs", filepath.Join("objects", "info"), filepath.Join("objects", "pack")} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o700); err != nil {
			return dir, err
		}
	}
	for path, content := range map[string]string{
		"HEAD": "ref: " + draftRef + "\n",
		// All objects go into one pack, which is moved into the mirror as a whole.
		"config":                  string(config) + "\n[fastimport]\n\tunpackLimit = 0\n",
		"objects/info/alternates": filepath.Join(entry.dir, "objects") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(path)), []byte(content), 0o600); err != nil {
			return dir, err
		}
	}
	return dir, nil
}

// commitDrafts makes the commits in a quarantine, the first one on base, if there is one,
// and each other one on the one before it.
func (m *Mirrors) commitDrafts(ctx context.Context, dir, repository, base string, drafts []Draft) ([]string, error) {
	stream := draftStream(base, drafts)
	err := m.run(ctx, command{
		dir: dir, repository: repository, stdin: stream,
		args: []string{"fast-import", "--quiet", "--done", "--date-format=raw", "--export-marks=" + filepath.Join(dir, marksFile)},
	})
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(dir, marksFile))
	if err != nil {
		return nil, fmt.Errorf("repository %s: new commits: %w", repository, err)
	}
	hashes := map[string]string{}
	for line := range strings.Lines(string(content)) {
		mark, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		hashes[mark] = hash
	}
	made := make([]string, len(drafts))
	for i := range drafts {
		made[i] = hashes[commitMark(i)]
	}
	return made, nil
}

func commitMark(i int) string { return fmt.Sprintf(":%d", i+1) }

// draftStream returns drafts as the commands of git fast-import.
func draftStream(base string, drafts []Draft) io.Reader {
	var stream bytes.Buffer
	parent := base
	data := func(content string) { fmt.Fprintf(&stream, "data %d\n%s\n", len(content), content) }
	for i, draft := range drafts {
		who := fmt.Sprintf("%s <%s> %d +0000", Person(draft.Name, draft.Email), Person(draft.Email), draft.Time.Unix())
		fmt.Fprintf(&stream, "commit %s\nmark %s\nauthor %s\ncommitter %s\n", draftRef, commitMark(i), who, who)
		data(draft.Message)
		if parent != "" {
			fmt.Fprintf(&stream, "from %s\n", parent)
		}
		for _, path := range slices.Sorted(maps.Keys(draft.Files)) {
			if content := draft.Files[path]; content != nil {
				fmt.Fprintf(&stream, "M %s inline %s\n", ModeFile, quotePath(path))
				data(string(content))
			} else {
				fmt.Fprintf(&stream, "D %s\n", quotePath(path))
			}
		}
		parent = commitMark(i)
	}
	stream.WriteString("done\n")
	return &stream
}

// Person returns the first of the texts that is not empty when the characters that end
// a name or an address in a commit are taken out.
func Person(texts ...string) string {
	for _, text := range texts {
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || strings.ContainsRune("<>", r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(text, "?"))
		if text = strings.Trim(text, " .,:;\"'\\"); text != "" {
			return text
		}
	}
	return "unknown"
}

// quotePath writes a path as fast-import reads it, with any bytes but NUL in it.
func quotePath(path string) string {
	var quoted strings.Builder
	for _, c := range []byte(path) {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			fmt.Fprintf(&quoted, `\%03o`, c)
		} else {
			quoted.WriteByte(c)
		}
	}
	return `"` + quoted.String() + `"`
}

// adopt moves the objects of a quarantine into the mirror and makes a commit its head.
// The names of the moved files follow from their content.
func (entry *mirror) adopt(dir, head string) error {
	// Git finds a pack by its index, which must come last.
	for _, pattern := range []string{"pack-*.pack", "pack-*.idx"} {
		files, err := filepath.Glob(filepath.Join(dir, "objects", "pack", pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.Rename(file, filepath.Join(entry.dir, "objects", "pack", filepath.Base(file))); err != nil {
				return err
			}
		}
	}
	return entry.setHead(head)
}

// setHead makes a commit the head of the mirror, as git update-ref does. Only the owner
// of the token may call it.
func (entry *mirror) setHead(head string) error {
	path := filepath.Join(entry.dir, filepath.FromSlash(headRef))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	lock := path + ".lock"
	if err := os.WriteFile(lock, []byte(head+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(lock, path)
}
