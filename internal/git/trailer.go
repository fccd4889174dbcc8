package git

import (
	"slices"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
)

// confirmsPrune reports whether a commit's message confirms what the commit removes.
// If the trailer is there several times, each must confirm.
func confirmsPrune(message string) bool {
	found := false
	for _, t := range trailers(message) {
		if !strings.EqualFold(t.Key, v1alpha1.TrailerConfirmPrune) {
			continue
		}
		if t.Value != v1alpha1.TrailerConfirmed {
			return false
		}
		found = true
	}
	return found
}

// Trailer is a line such as "Key: value" at the end of a commit's message.
type Trailer struct{ Key, Value string }

// generatedTrailers are lines that git writes itself. With one of them, a paragraph
// may hold other text as well.
func generatedTrailers() []string { return []string{"Signed-off-by: ", "(cherry picked from commit "} }

// trailers returns the trailers of a message as git finds them: in the last paragraph,
// which must not be the first one. Continued lines belong to the value.
func trailers(message string) []Trailer {
	lines := strings.Split(message, "\n")
	title := slices.IndexFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
	if title < 0 {
		return nil
	}
	lines = lines[title:]
	end := len(lines)
	for end > 0 && (strings.TrimSpace(lines[end-1]) == "" || strings.HasPrefix(lines[end-1], "#")) {
		end--
	}
	begin := end
	for begin > 0 && strings.TrimSpace(lines[begin-1]) != "" {
		begin--
	}
	var found []Trailer
	count, other, generated, continues := 0, 0, false, false
	for _, line := range lines[begin:end] {
		indented := strings.TrimLeft(line, " \t") != line
		key, value, isTrailer := splitTrailer(line)
		own := slices.ContainsFunc(generatedTrailers(), func(prefix string) bool { return strings.HasPrefix(line, prefix) })
		switch {
		case strings.HasPrefix(line, "#"):
		case indented && continues:
			if last := len(found) - 1; last >= 0 {
				found[last].Value = strings.TrimSpace(found[last].Value + " " + strings.TrimSpace(line))
			}
		case own || isTrailer && !indented:
			count, continues, generated = count+1, true, generated || own
			found = append(found, Trailer{key, value})
		default:
			other, continues = other+1, false
		}
	}
	if other == 0 || generated && 3*count >= other {
		return found
	}
	return nil
}

// splitTrailer splits "key: value". It reports whether the line has that form.
func splitTrailer(line string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(line, ":")
	key = strings.TrimRight(key, " \t")
	for _, c := range []byte(key) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "", "", false
		}
	}
	return key, strings.TrimSpace(value), ok && key != ""
}
