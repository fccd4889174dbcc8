package git

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/test/githost"
)

const someCommit = "1234567890123456789012345678901234567890"

func TestTree(t *testing.T) {
	m, _, repo, src := setUp(t)
	odd := map[string]string{
		"envs/new\nline.yaml": "1", "envs/quo\"te's.yaml": "2", "envs/ünï cødé.yaml": "3", "envs/tab\there": "4",
		"envs/back\\slash": "5", "envs/latin1-\xe9": "6", "-dash": "7", ":colon": "8", "a.b": "9", "a/b": "10", "empty": "",
	}
	hash := repo.Commit(githost.Commit{
		Files: odd, Executables: map[string]string{"run.sh": "#!/bin/sh\n"},
		Symlinks: map[string]string{"envs/link.yaml": "/etc/passwd"}, Submodules: map[string]string{"modules/x": someCommit},
	})
	fetch(t, m, src)
	files, err := m.Tree(context.Background(), key, hash)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"run.sh": ModeExecutable, "envs/link.yaml": ModeSymlink, "modules/x": ModeSubmodule}
	for path := range odd {
		want[path] = ModeFile
	}
	got := map[string]string{}
	var blobs []string
	for i, f := range files {
		got[f.Path] = f.Mode
		if i > 0 && files[i-1].Path >= f.Path {
			t.Errorf("%q comes before %q", files[i-1].Path, f.Path)
		}
		if f.Mode == ModeSubmodule {
			if f.Blob != someCommit || f.Size != 0 {
				t.Errorf("submodule = %+v", f)
			}
			continue
		}
		blobs = append(blobs, f.Blob)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths and modes (-want +got):\n%s", diff)
	}
	read, err := m.Read(context.Background(), key, blobs)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if content, ok := odd[f.Path]; ok && (string(read[f.Blob]) != content || f.Size != int64(len(content))) {
			t.Errorf("%q holds %q and has size %d, want %q", f.Path, read[f.Blob], f.Size, content)
		}
		if f.Mode == ModeSymlink && string(read[f.Blob]) != "/etc/passwd" {
			t.Errorf("the link was followed: %q", read[f.Blob])
		}
	}
}

func TestDiff(t *testing.T) {
	m, _, repo, src := setUp(t)
	from := repo.Commit(githost.Commit{
		Files:      map[string]string{"keep": "k", "change": "1", "gone": "gone", "move/from": "moved", "kind": "file", "new\nline": "1"},
		Submodules: map[string]string{"module": someCommit},
	})
	to := repo.Commit(githost.Commit{
		Files: map[string]string{"change": "22", "move/to": "moved", "new\nline": "22", "added": "333"}, Delete: []string{"gone", "move/from", "kind", "module"},
		Symlinks: map[string]string{"kind": "keep"},
	})
	fetch(t, m, src)
	changes, forward, err := m.Diff(context.Background(), key, from, to)
	if err != nil || !forward {
		t.Fatalf("Diff: fast-forward %v, %v; want true, nil", forward, err)
	}
	var got []string
	side := func(f *File) string {
		if f == nil {
			return "-"
		}
		return fmt.Sprintf("%s/%d", f.Mode, f.Size)
	}
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%q %s %s", c.Path, side(c.Old), side(c.New)))
	}
	want := []string{
		`"added" - 100644/3`, `"change" 100644/1 100644/2`, `"gone" 100644/4 -`, `"kind" 100644/4 120000/4`, `"module" 160000/0 -`,
		`"move/from" 100644/5 -`, `"move/to" - 100644/5`, `"new\nline" 100644/1 100644/2`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if _, forward, err = m.Diff(context.Background(), key, to, from); err != nil || forward {
		t.Errorf("Diff backwards: fast-forward %v, %v; want false, nil", forward, err)
	}
	if changes, forward, err = m.Diff(context.Background(), key, to, to); err != nil || !forward || len(changes) != 0 {
		t.Errorf("Diff with itself: %d changes, fast-forward %v, %v; want 0, true, nil", len(changes), forward, err)
	}
}

func TestUnknownRevisions(t *testing.T) {
	m, _, repo, src := setUp(t)
	hash := repo.Push(map[string]string{"a": "1"})
	if _, err := m.Tree(context.Background(), key, hash); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("Tree before the first fetch: %v, want ErrUnknownRevision", err)
	}
	fetch(t, m, src)
	for name, revision := range map[string]string{
		"none": "", "absent": someCommit, "option": "--help", "name": "HEAD", "abbreviated": hash[:12], "expression": hash + "^{tree}",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := m.Tree(context.Background(), key, revision); !errors.Is(err, ErrUnknownRevision) {
				t.Errorf("Tree: %v, want ErrUnknownRevision", err)
			}
			if _, _, err := m.Diff(context.Background(), key, revision, hash); !errors.Is(err, ErrUnknownRevision) {
				t.Errorf("Diff from it: %v, want ErrUnknownRevision", err)
			}
			if _, _, err := m.Diff(context.Background(), key, hash, revision); !errors.Is(err, ErrUnknownRevision) {
				t.Errorf("Diff to it: %v, want ErrUnknownRevision", err)
			}
		})
	}
	if m.mirrors.entries[key].doubt {
		t.Error("an unknown revision made the mirror doubtful")
	}
}

func TestLimits(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	base := repo.Push(map[string]string{"small": "1"})
	repo.Commit(githost.Commit{Branch: "huge", Files: map[string]string{"huge": strings.Repeat("x", 4<<20)}})
	many := map[string]string{}
	for i := range 120 {
		many[fmt.Sprintf("dir/%03d", i)] = strings.Repeat(fmt.Sprint(i%10), 100+i)
	}
	repo.Commit(githost.Commit{Branch: "many", Files: many})
	repo.Commit(githost.Commit{Branch: "deep", Files: map[string]string{strings.Repeat("d/", 10) + "f": "1"}})
	repo.Commit(githost.Commit{Branch: "long", Files: map[string]string{strings.Repeat("n", maxPath+1): "1"}})
	bomb(t, repo)
	limited := limits{files: 100, depth: 10, blob: 1000, read: 3000}
	for branch, want := range map[string]string{"many": LimitFiles, "deep": LimitDepth, "long": LimitLength, "bomb": LimitFiles} {
		t.Run(branch, func(t *testing.T) {
			m := limitedMirrors(t, limited)
			commit := fetch(t, m, Source{URL: repo.URL(), Branch: branch})
			_, err := m.Tree(context.Background(), key, commit.Hash)
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Quantity != want {
				t.Errorf("Tree: %v, want a LimitError about the %s", err, want)
			}
			if err != nil && len(err.Error()) > 600 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			if m.mirrors.entries[key].doubt {
				t.Error("a limit made the mirror doubtful")
			}
		})
	}
	t.Run("blob", func(t *testing.T) {
		m := limitedMirrors(t, limited)
		commit := fetch(t, m, Source{URL: repo.URL(), Branch: "huge"})
		files, err := m.Tree(context.Background(), key, commit.Hash)
		if err != nil || len(files) != 1 || files[0].Size != 4<<20 {
			t.Fatalf("Tree = %v, %v", files, err)
		}
		_, err = m.Read(context.Background(), key, []string{files[0].Blob})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Quantity != LimitBlob || limit.Object != files[0].Blob {
			t.Errorf("Read: %v, want a LimitError about the blob", err)
		}
	})
	t.Run("read", func(t *testing.T) {
		m := limitedMirrors(t, limits{files: 1000, depth: 10, blob: 1000, read: 3000})
		commit := fetch(t, m, Source{URL: repo.URL(), Branch: "many"})
		files, err := m.Tree(context.Background(), key, commit.Hash)
		if err != nil {
			t.Fatal(err)
		}
		var blobs []string
		for _, f := range files {
			blobs = append(blobs, f.Blob)
		}
		_, err = m.Read(context.Background(), key, blobs)
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Quantity != LimitRead {
			t.Errorf("Read of all: %v, want a LimitError about their size", err)
		}
		if read, err := m.Read(context.Background(), key, blobs[:10]); err != nil || len(read) != 10 {
			t.Errorf("Read of a few = %d, %v", len(read), err)
		}
	})
	t.Run("diff", func(t *testing.T) {
		m := limitedMirrors(t, limited)
		src := Source{URL: repo.URL(), Branch: "main"}
		fetch(t, m, src)
		src.Branch = "bomb"
		commit := fetch(t, m, src)
		var limit *LimitError
		if _, _, err := m.Diff(context.Background(), key, base, commit.Hash); !errors.As(err, &limit) || limit.Quantity != LimitFiles {
			t.Errorf("Diff: %v, want a LimitError about the files", err)
		}
	})
}

// bomb creates a branch whose tree has 10^10 files in a few small objects.
func bomb(t *testing.T, repo *githost.Repo) {
	t.Helper()
	repo.Commit(githost.Commit{Branch: "bomb", Files: map[string]string{"f": "boom"}})
	entry := "100644 blob " + repo.Git("rev-parse", "bomb:f")
	for range 10 {
		var tree strings.Builder
		for i := range 10 {
			fmt.Fprintf(&tree, "%s\t%d\n", entry, i)
		}
		entry = "040000 tree " + repo.GitWith(tree.String(), "mktree")
	}
	commit := repo.Git("commit-tree", "-m", "bomb", strings.TrimPrefix(entry, "040000 tree "))
	repo.Git("update-ref", "refs/heads/bomb", commit)
}

func TestReadRefusesOtherObjects(t *testing.T) {
	m, _, repo, src := setUp(t)
	hash := repo.Push(map[string]string{"a": "1"})
	fetch(t, m, src)
	blob := repo.Git("rev-parse", "main:a")
	for name, id := range map[string]string{"commit": hash, "absent": someCommit, "name": "HEAD:a", "option": "--help", "lines": blob + "\n" + blob} {
		t.Run(name, func(t *testing.T) {
			if got, err := m.Read(context.Background(), key, []string{blob, id}); err == nil {
				t.Errorf("Read = %v, want an error", got)
			}
		})
	}
	// An object that is missing from the mirror is damage, which a fetch repairs.
	fetch(t, m, src)
	if m.mirrors.entries[key].doubt {
		t.Error("the mirror is doubtful after it was made anew")
	}
	got, err := m.Read(context.Background(), key, []string{blob, blob})
	if diff := cmp.Diff(map[string][]byte{blob: []byte("1")}, got); err != nil || diff != "" {
		t.Errorf("Read twice the same: %v (-want +got):\n%s", err, diff)
	}
	if got, err := m.Read(context.Background(), key, nil); err != nil || len(got) != 0 {
		t.Errorf("Read of nothing = %v, %v", got, err)
	}
}

func TestAThousandFiles(t *testing.T) {
	m, _, repo, src := setUp(t)
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("envs/env-%04d.yaml", i)] = fmt.Sprintf("number: %d\n%s", i, strings.Repeat("x", i))
	}
	fetchAll := repo.Push(files)
	fetch(t, m, src)
	if diff := cmp.Diff(files, contents(t, m, fetchAll)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	next := repo.Push(map[string]string{"envs/env-0500.yaml": "changed"})
	fetch(t, m, src)
	changes, forward, err := m.Diff(context.Background(), key, fetchAll, next)
	if err != nil || !forward || len(changes) != 1 || changes[0].New.Size != 7 {
		t.Errorf("Diff = %v, %v, %v; want one change", changes, forward, err)
	}
}

func TestKeysNeverBecomePaths(t *testing.T) {
	m, _, repo, src := setUp(t)
	hash := repo.Push(map[string]string{"a": "1"})
	for _, key := range []string{"", "..", "../../../tmp/x", "/etc", "a/b", "a\x00b", "-x", strings.Repeat("k", 10_000)} {
		if _, err := m.Fetch(context.Background(), key, src); err != nil {
			t.Fatalf("Fetch with key %.20q: %v", key, err)
		}
		if _, err := m.Tree(context.Background(), key, hash); err != nil {
			t.Errorf("Tree with key %.20q: %v", key, err)
		}
	}
	mirrors, err := os.ReadDir(m.store)
	if err != nil || len(mirrors) != 8 {
		t.Errorf("%d mirrors in the store, %v; want 8", len(mirrors), err)
	}
}

func TestDropRemovesTheMirror(t *testing.T) {
	m, _, repo, src := setUp(t)
	hash := repo.Push(map[string]string{"a": "1"})
	fetch(t, m, src)
	if err := m.Drop(key); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mirrorDir(m)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if _, err := m.Tree(context.Background(), key, hash); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("Tree after Drop: %v, want ErrUnknownRevision", err)
	}
	if n := len(m.mirrors.entries); n != 0 {
		t.Errorf("%d entries are remembered after Drop", n)
	}
	if err := m.Drop(key); err != nil {
		t.Errorf("Drop of nothing: %v", err)
	}
	if got := fetch(t, m, src); got.Hash != hash {
		t.Errorf("Fetch after Drop = %s, want %s", got.Hash, hash)
	}
}

func TestNewRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(mkdir(t, dir, "scratch", "ssh-1"), "key"), "private")
	if _, err := New(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "scratch", "ssh-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key of an earlier process is still there: %v", err)
	}
	if _, err := New(dir, Options{AllowedProtocols: []string{"ext"}}); err == nil {
		t.Error("protocol ext was accepted")
	}
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParseCommit(t *testing.T) {
	tests := map[string]struct {
		content    string
		wantAuthor string
		wantYear   int
	}{
		"usual":      {"tree x\nauthor A <a@x> 1700000000 +0000\ncommitter C <c@x> 1600000000 +0000\n\nmessage\nauthor No <no@x> 1 +0\n", "A <a@x>", 2020},
		"no headers": {"\n\nmessage", "", 1},
		"nothing":    {"", "", 1},
		"far future": {"author A <a@x> 1 +0000\ncommitter C <c@x> 999999999999999 +0000\n\n", "A <a@x>", 1},
		"before":     {"author A <a@x> 1 +0000\ncommitter C <c@x> -5 +0000\n\n", "A <a@x>", 1},
		"no number":  {"author A <a@x> 1 +0000\ncommitter C <c@x> x +0000\n\n", "A <a@x>", 1},
		"not utf-8":  {"author A\xe9\x1b[31m <a@x> 1 +0\n\n", "A?[31m <a@x>", 1},
		"long":       {"author " + strings.Repeat("é", 500) + " <a@x> 1 +0\n\n", strings.Repeat("é", maxAuthor/2-2) + "…", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := parseCommit("h", tt.content)
			if got.Author != tt.wantAuthor || got.Time.Year() != tt.wantYear {
				t.Errorf("author %q in %d, want %q in %d", got.Author, got.Time.Year(), tt.wantAuthor, tt.wantYear)
			}
		})
	}
}

func TestNamesThatNoFileCanHaveAreRefused(t *testing.T) {
	m, _, repo, src := setUp(t)
	base := repo.Push(map[string]string{"a": "1", "b/c": "2"})
	fetch(t, m, src)
	blob, err := hex.DecodeString(repo.Git("rev-parse", "main:a"))
	if err != nil {
		t.Fatal(err)
	}
	// A fetch would refuse such a tree, so it is put into the mirror.
	git := func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Env, cmd.Stdin = append(githost.Environ(t.TempDir()), "GIT_DIR="+mirrorDir(m)), strings.NewReader(input)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	for _, name := range []string{"b/c", ".", "..", ""} {
		tree := git("100644 "+name+"\x00"+string(blob), "hash-object", "-t", "tree", "-w", "--stdin", "--literally")
		commit := git("", "commit-tree", "-p", base, "-m", "slash", tree)
		if files, err := m.Tree(context.Background(), key, commit); !errors.Is(err, ErrRefused) {
			t.Errorf("Tree with the name %q = %v, %v; want ErrRefused", name, files, err)
		}
		if changes, _, err := m.Diff(context.Background(), key, base, commit); !errors.Is(err, ErrRefused) {
			t.Errorf("Diff with the name %q = %v, %v; want ErrRefused", name, changes, err)
		}
	}
}

func TestModesAreCanonical(t *testing.T) {
	for mode, want := range map[string]string{
		"100644": ModeFile, "100664": ModeFile, "100600": ModeFile, "100755": ModeExecutable, "100744": ModeExecutable, "120000": ModeSymlink,
		"120777": ModeSymlink, "160000": ModeSubmodule, "40000": modeDirectory, "040000": modeDirectory, "0": ModeSubmodule, "x": ModeSubmodule, "": ModeSubmodule,
	} {
		if got := canonical(mode); got != want {
			t.Errorf("mode %q is taken for %s, want %s", mode, got, want)
		}
	}
}

// A limit is the most that is allowed: one less refuses the same revision.
func TestLimitsAreInclusive(t *testing.T) {
	repo := githost.New(t).Repo("demo/default.project")
	repo.Commit(githost.Commit{Files: map[string]string{
		"d/d/d/f": "1234567890", "a": "12345", strings.Repeat("n", maxPath): "1",
	}})
	exact := limits{files: 6, depth: 4, blob: 10, read: 16}
	for name, test := range map[string]struct {
		change func(l *limits)
		want   string
	}{
		"exact":         {change: func(*limits) {}},
		"one file less": {change: func(l *limits) { l.files-- }, want: LimitFiles},
		"less deep":     {change: func(l *limits) { l.depth-- }, want: LimitDepth},
		"smaller blobs": {change: func(l *limits) { l.blob-- }, want: LimitBlob},
		"less in all":   {change: func(l *limits) { l.read-- }, want: LimitRead},
	} {
		t.Run(name, func(t *testing.T) {
			l := exact
			test.change(&l)
			m := limitedMirrors(t, l)
			commit := fetch(t, m, Source{URL: repo.URL(), Branch: "main"})
			files, err := m.Tree(t.Context(), key, commit.Hash)
			var blobs []string
			for _, f := range files {
				blobs = append(blobs, f.Blob)
			}
			if err == nil {
				_, err = m.Read(t.Context(), key, blobs)
			}
			var limit *LimitError
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (!errors.As(err, &limit) || limit.Quantity != test.want || limit.Key != key || limit.Limit <= 0):
				t.Errorf("error %v, want a LimitError about the %s", err, test.want)
			}
		})
	}
}

// TestDefaultLimits holds the limits of production.
func TestDefaultLimits(t *testing.T) {
	m := testMirrors(t, nil)
	if want := (limits{files: 50_000, depth: 64, blob: 1 << 20, read: 64 << 20}); m.limits != want {
		t.Errorf("limits %+v, want %+v", m.limits, want)
	}
}
