// Package sensorlua holds the Lua programs with which sensors read events. It
// guarantees that they are the same for all runtimes: they are files, and the only
// value of a runtime beside them, the pattern of a ref, is an inert literal. Files
// keep the sensors small, which must fit into one environment variable.
//
// A program finds the event in the global variable event. Argo Events turns the table
// that it returns into the data that filters and parameters read. The programs return
// strings only, and never fail:
//
//	event    for example push_events, or calendar; empty for an ignored event
//	ref      the full name of the branch or tag, or empty
//	commit   40 hexadecimal digits, or empty
//	payload  the launch.Event in the form of launch.Encode
//	key      the same for a repeated delivery, and different for different ones: at
//	         most MaxKey lower case letters, digits and dashes
//	refText  ref with all bytes but letters, digits and ._/@+- percent-encoded
package sensorlua

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"nautes.io/nautes/internal/forge/forges"
)

// MaxKey is the length of the longest key, in bytes.
const MaxKey = 45

// Memory is the most that a program needs for an event of 1 MiB, the largest that
// Argo Events accepts, in bytes.
const Memory = 32 << 20

// The names in Files of the programs that belong to no forge.
const (
	Calendar = "calendar.lua"
	Ref      = "ref.lua"
)

var (
	//go:embed common.lua
	common string
	//go:embed calendar.lua
	calendar string
	//go:embed ref.lua
	ref string
)

// Files returns the programs by their file names. The program of a forge reads a
// delivery of that forge, headers and body: deletions, and events about the code of
// a fork, run nothing. Calendar reads an event of a calendar. Ref is for MatchRef.
func Files() map[string]string {
	files := map[string]string{Calendar: calendar, Ref: ref}
	for _, f := range forges.All() {
		files[f.Events.Program.File] = common + f.Events.Program.Source
	}
	return files
}

// Run returns a program that runs one of the Files, which are in a directory.
func Run(dir, file string) string { return fmt.Sprintf("return dofile(%q)", path.Join(dir, file)) }

// MatchRef returns a program that reports whether the ref of an event matches a Lua
// pattern; the Files are in a directory. An invalid pattern matches no ref, and a ref
// of more than luapattern.MaxText bytes matches no pattern.
func MatchRef(dir, pattern string) string {
	return "pattern = " + Literal(pattern) + "\n" + Run(dir, Ref)
}

// Literal returns a text as a literal of Lua that has only digits and backslashes
// between its quotes: nothing in the text can end it.
func Literal(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		fmt.Fprintf(&b, `\%03d`, text[i])
	}
	b.WriteByte('"')
	return b.String()
}
