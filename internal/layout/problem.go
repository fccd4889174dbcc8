package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/yamltext"
)

// Reasons of file problems: the whole list. Programs may rely on these words.
const (
	// Unparsable: the file is not YAML, or uses a part of YAML that is not supported.
	Unparsable = "Unparsable"
	// UnknownField: the kind has no such field.
	UnknownField = "UnknownField"
	// Invalid: a field is missing, or its value breaks the schema or a rule of the kind.
	Invalid = "Invalid"
	// NotAllowed: the field exists and cannot be set in a file.
	NotAllowed = "NotAllowed"
	// WrongKind: the folder does not allow the kind, or the API version is another one.
	WrongKind = "WrongKind"
	// WrongNamespace: the object names another product or namespace as its own.
	WrongNamespace = "WrongNamespace"
	// WrongName: the name is missing, invalid, or different from its directory.
	WrongName = "WrongName"
	// Misplaced: the file is not where its object belongs.
	Misplaced = "Misplaced"
	// TooLarge: the file is too large, too deep or has too many values.
	TooLarge = "TooLarge"
	// NotAFile: a symbolic link or a submodule is where a file should be.
	NotAFile = "NotAFile"
	// Duplicate: another file holds the same object.
	Duplicate = "Duplicate"
	// Refused: the API server refused the object.
	Refused = "Refused"
)

const (
	maxShownPath = 512
	maxMessage   = 1024
)

// Problem returns a problem for a status. Path and message are printable and
// bounded, and different paths stay different. Line is 0 when the problem is about
// the whole file.
func Problem(path string, line int32, reason, format string, args ...any) *v1alpha1.FileProblem {
	return &v1alpha1.FileProblem{Path: showPath(path), Line: line, Reason: reason, Message: printable(fmt.Sprintf(format, args...))}
}

func showPath(path string) string {
	shown := path
	if !utf8.ValidString(path) || strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.HasPrefix(path, `"`) {
		shown = strconv.Quote(path)
	}
	if len(shown) > maxShownPath {
		sum := sha256.Sum256([]byte(path))
		shown = plan.Cut(shown, maxShownPath-20) + " " + hex.EncodeToString(sum[:5])
	}
	return shown
}

func printable(message string) string {
	message = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(message, "?"))
	return plan.Cut(yamltext.Show(message), maxMessage)
}

func tooLarge(path string, size int64) *v1alpha1.FileProblem {
	return Problem(path, 0, TooLarge, "the file has %d bytes and may have %d: make it smaller", size, MaxSize)
}
