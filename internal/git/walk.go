package git

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxPath is the length in bytes of the longest path.
const maxPath = 1024

// modeDirectory marks a directory among the entries of a tree.
const modeDirectory = "040000"

// walk compares two trees. It enters a directory only if the trees differ there, and
// stops at the first limit: a few objects can describe more files than any disk holds.
type walk struct {
	session  *session
	key      string
	maxDepth int
	// budget is the number of files and directories that may still follow, and limit
	// the largest number in a tree.
	budget, limit int
	// filters select the entries, and spare is the number of optional ones that may
	// still follow. Without filters all entries are required.
	filters []Filter
	spare   int
	changes []Change
}

// Interest is how much an entry of a tree matters.
type Interest uint8

// Interests. A limit that a required entry exceeds is an error. Optional entries are
// left out where they exceed one.
const (
	Ignored Interest = iota
	Optional
	Required
)

// Filter returns the interest in the entry at a path. The mode of a directory is
// 040000. Ignored directories are not entered.
type Filter func(path, mode string) Interest

// interest returns the interest in a path that has one of two entries.
func (w *walk) interest(path string, entries ...entry) Interest {
	if len(w.filters) == 0 {
		return Required
	}
	most := Ignored
	for _, filter := range w.filters {
		for _, e := range entries {
			if e.mode != "" {
				most = max(most, filter(path, e.mode))
			}
		}
	}
	return most
}

// entry of one directory.
type entry struct{ mode, id string }

// compare adds the changes between two directories below prefix, which is empty or
// ends in a slash. An empty id stands for a missing directory.
func (w *walk) compare(prefix, from, to string, depth int) error {
	before, err := w.read(from)
	if err != nil {
		return err
	}
	after, err := w.read(to)
	if err != nil {
		return err
	}
	names := map[string]entry{}
	maps.Copy(names, before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] == after[name] {
			continue
		}
		path := prefix + name
		switch w.interest(path, before[name], after[name]) {
		case Optional:
			err = w.differIfSmall(path, before[name], after[name], depth)
		case Required:
			err = w.differ(path, before[name], after[name], depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// differIfSmall adds the changes of one path if they are within the limits.
func (w *walk) differIfSmall(path string, before, after entry, depth int) error {
	w.spare--
	if w.spare < 0 || len(path) > maxPath || depth > w.maxDepth {
		return nil
	}
	// It counts as spare only.
	w.budget++
	err := w.differ(path, before, after, depth)
	var limit *LimitError
	if errors.As(err, &limit) || errors.Is(err, ErrRefused) {
		return nil
	}
	return err
}

// differ adds the changes of one path.
func (w *walk) differ(path string, before, after entry, depth int) error {
	w.budget--
	switch {
	case w.budget < 0:
		return &LimitError{Key: w.key, Quantity: LimitFiles, Limit: int64(w.limit)}
	case len(path) > maxPath:
		return &LimitError{Key: w.key, Quantity: LimitLength, Object: path, Limit: maxPath}
	case depth > w.maxDepth && after.mode != "":
		return &LimitError{Key: w.key, Quantity: LimitDepth, Object: path, Limit: int64(w.maxDepth)}
	}
	change := Change{Path: path, Old: before.file(path), New: after.file(path)}
	if change.Old != nil || change.New != nil {
		w.changes = append(w.changes, change)
	}
	if before.directory() != "" || after.directory() != "" {
		return w.compare(path+"/", before.directory(), after.directory(), depth+1)
	}
	return nil
}

func (e entry) directory() string {
	if e.mode == modeDirectory {
		return e.id
	}
	return ""
}

func (e entry) file(path string) *File {
	if e.mode == "" || e.mode == modeDirectory {
		return nil
	}
	return &File{Path: path, Blob: e.id, Mode: e.mode}
}

// read returns the entries of a directory by their names.
func (w *walk) read(id string) (map[string]entry, error) {
	if id == "" {
		return nil, nil
	}
	content, err := w.session.tree(id)
	if errors.Is(err, errTooLarge) {
		return nil, &LimitError{Key: w.key, Quantity: LimitFiles, Limit: int64(w.limit)}
	}
	if err != nil {
		return nil, err
	}
	entries := map[string]entry{}
	for len(content) > 0 {
		header, rest, found := bytes.Cut(content, []byte{0})
		mode, name, split := strings.Cut(string(header), " ")
		size := len(id) / 2
		if !found || !split || len(rest) < size {
			return nil, fmt.Errorf("directory %s: %w", id, errDamaged)
		}
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			// Git allows some of these, and then two entries have the same path.
			return nil, &Error{Repository: w.key, Err: ErrRefused,
				Reason: fmt.Sprintf("a directory of the revision contains the name %q, which no file can have: run git fsck in a clone and rewrite the objects that it names", name[:min(len(name), maxObject)])}
		}
		entries[name] = entry{mode: canonical(mode), id: hex.EncodeToString(rest[:size])}
		content = rest[size:]
	}
	return entries, nil
}

// canonical maps a mode to one of this package's modes, as git does.
func canonical(mode string) string {
	bits, err := strconv.ParseUint(mode, 8, 32)
	switch {
	case err != nil:
		return ModeSubmodule
	case bits&0o170000 == 0o040000:
		return modeDirectory
	case bits&0o170000 == 0o120000:
		return ModeSymlink
	case bits&0o170000 != 0o100000:
		return ModeSubmodule
	case bits&0o100 != 0:
		return ModeExecutable
	default:
		return ModeFile
	}
}

// measure fills in the sizes of the files.
func (w *walk) measure() error {
	files := map[string][]*File{}
	for _, change := range w.changes {
		for _, file := range []*File{change.Old, change.New} {
			if file != nil && file.Mode != ModeSubmodule {
				files[file.Blob] = append(files[file.Blob], file)
			}
		}
	}
	if len(files) == 0 {
		return nil
	}
	return w.session.sizes(slices.Sorted(maps.Keys(files)), func(id string, size int64) error {
		for _, file := range files[id] {
			file.Size = size
		}
		return nil
	})
}
