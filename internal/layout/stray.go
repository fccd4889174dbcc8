package layout

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
)

// Look is how much a path of the repository matters.
type Look uint8

// Looks. A suspect may hold an object at a place where none is read.
const (
	Foreign Look = iota
	Suspect
	Ours
)

const (
	modeDirectory = "040000"
	// maxLevels is the number of components of the longest path below a folder of
	// the layout that is looked at, and maxNearLevels below a folder whose name is
	// close to one.
	maxLevels, maxNearLevels = 10, 4
	// maxSuspect is the size of the largest suspect that is read, in bytes.
	maxSuspect = 64 << 10
)

// Look returns how much the entry of a mode at a path matters. Other folders than the
// layout's are the product's own, unless their names are close to one of the
// layout's.
func (s Scope) Look(name, mode string) Look {
	components := strings.Split(name, "/")
	if strings.Contains("/"+name, "/.") {
		return Foreign
	}
	f, known := s.folders()[components[0]]
	near, _ := s.near(components[0])
	level := len(components)
	isFile := mode != modeDirectory && mode != modeSymlink && mode != modeSubmodule
	switch {
	case known && level > maxLevels, !known && level > maxNearLevels:
		return Foreign
	case known && level < f.levels(), known && level == f.levels() && (mode == modeSymlink || mode == modeSubmodule || isFile && s.Resource(name)):
		return Ours
	case known, near != "", level == 1 && isFile && likeYAML(name):
		return Suspect
	}
	return Foreign
}

// levels returns the number of components of the paths of resource files.
func (f folder) levels() int {
	if f.nested {
		return 3
	}
	return 2
}

var (
	yamlLike  = regexp.MustCompile(`(?i)\.(ya?ml|json)$`)
	misnamed  = regexp.MustCompile(`(?i)\.ya?ml([^a-z0-9].*)?$`)
	plainName = regexp.MustCompile(`[^a-z0-9]`)
)

func likeYAML(name string) bool { return yamlLike.MatchString(name) }

// Misnamed returns the problem of a path that is not the path of a resource file and
// that looks like one, or nil.
func (s Scope) Misnamed(name string) *v1alpha1.FileProblem {
	top, _, below := strings.Cut(name, "/")
	base := path.Base(name)
	stem, _, _ := strings.Cut(strings.ToLower(base), ".")
	if !below || strings.Contains("/"+name, "/.") || s.Resource(name) || stem == "kustomization" || !misnamed.MatchString(base) {
		return nil
	}
	if _, known := s.folders()[top]; known {
		return Problem(name, 0, Misplaced, "the file is not read, because its name does not end in .yaml or .yml in lower case: rename it, or move it to a folder of your own")
	}
	if near, same := s.near(top); same {
		return s.nearProblem(name, top, near)
	}
	return nil
}

func (s Scope) nearProblem(name, top, near string) *v1alpha1.FileProblem {
	return Problem(name, 0, Misplaced, "the file is not read, because the folder %s is not a folder of the layout, which has %s: move the file to %s, or rename the folder if it is your own",
		showPath(top), near, s.folders()[near].example)
}

// Readable reports whether a file is read to find out whether it holds an object.
func (s Scope) Readable(name, mode string, size int64) bool {
	if mode == modeSymlink || mode == modeSubmodule || size == 0 || size > maxSuspect || s.Look(name, mode) != Suspect {
		return false
	}
	_, known := s.folders()[strings.Split(name, "/")[0]]
	return known || likeYAML(name)
}

// Stray returns the problem of a file that is not a resource file and whose content is
// an object of Nautes, or nil.
func (s Scope) Stray(name string, content []byte) *v1alpha1.FileProblem {
	if !holdsObject(content) {
		return nil
	}
	top, _, below := strings.Cut(name, "/")
	_, known := s.folders()[top]
	near, _ := s.near(top)
	switch {
	case !below:
		return Problem(name, 0, Misplaced, "the file contains an object of Nautes and is not read at the root of the repository: move it to the folder of its kind, one of %s", strings.Join(s.folderNames(), ", "))
	case known:
		return Problem(name, 0, Misplaced, "the file contains an object of Nautes and is not read, because resource files are named <name>.yaml: rename it, or move it to a folder of your own")
	}
	return s.nearProblem(name, top, near)
}

// holdsObject reports whether content begins as an object of our API group does.
func holdsObject(content []byte) bool {
	if !bytes.Contains(content, []byte(v1alpha1.GroupVersion.Group+"/")) {
		return false
	}
	for line := range bytes.Lines(content) {
		text := strings.TrimSpace(strings.TrimPrefix(string(line), "\ufeff"))
		if text == "" || text[0] == '#' || text[0] == '%' || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "//") {
			continue
		}
		key, _, found := strings.Cut(text, ":")
		return text[0] == '{' || text[0] == '[' || found && slices.Contains([]string{"apiVersion", "kind", "metadata", "spec"}, strings.Trim(strings.TrimSpace(key), `"'`))
	}
	return false
}

// near returns the folder of the layout that a folder's name is close to, or "". same
// is true if only case, separators or invisible characters differ.
func (s Scope) near(top string) (folder string, same bool) {
	if _, known := s.folders()[top]; known {
		return "", false
	}
	name := plainName.ReplaceAllString(strings.ToLower(top), "")
	for _, folder := range s.folderNames() {
		if name == plainName.ReplaceAllString(folder, "") {
			return folder, true
		}
	}
	single := strings.TrimSuffix(name, "s")
	for _, folder := range s.folderNames() {
		wanted := plainName.ReplaceAllString(folder, "")
		if distance(name, wanted) <= len(wanted)/4 || strings.HasPrefix(name, strings.TrimSuffix(wanted, "s")) {
			return folder, false
		}
	}
	// The shortest kind is the closest one: a CodeRepo for repos.
	closest := ""
	for _, name := range s.folderNames() {
		for _, kind := range s.folders()[name].kinds {
			if len(single) > 2 && strings.Contains(strings.ToLower(kind), single) && (closest == "" || len(kind) < len(closest)) {
				folder, closest = name, kind
			}
		}
	}
	return folder, false
}

// distance returns the number of characters to add, remove, replace or swap between
// two short texts.
func distance(a, b string) int {
	if len(a) > len(b)+3 {
		return len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0:
				rows[i][j] = j
			case j == 0:
				rows[i][j] = i
			default:
				cost := 1
				if a[i-1] == b[j-1] {
					cost = 0
				}
				rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
				}
			}
		}
	}
	return rows[len(a)][len(b)]
}
