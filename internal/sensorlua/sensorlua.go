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
//	what     event, and for some events a colon and their kind, for example
//	         merge_requests_events:open
//	seconds  of a calendar only: the time since 1970
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
	// Exclusions is for Outside.
	Exclusions = "exclusions.lua"
)

var (
	//go:embed common.lua
	common string
	//go:embed delivery.lua
	delivery string
	//go:embed calendar.lua
	calendar string
	//go:embed ref.lua
	ref string
	//go:embed exclusions.lua
	exclusions string
)

// Files returns the programs by their file names. The program of a forge reads a
// delivery of that forge, headers and body: deletions, and events about the code of
// a fork, run nothing. Calendar reads an event of a calendar. Ref is for MatchRef.
func Files() map[string]string {
	files := map[string]string{Calendar: calendar, Ref: ref, Exclusions: exclusions}
	for _, f := range forges.All() {
		files[f.Events.Program.File] = common + delivery + f.Events.Program.Source
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

// Outside returns a program that reports whether an event of a calendar is outside of
// all times: pairs of the first second and the first one after it. The Files are in a
// directory.
func Outside(dir string, times []int64) string {
	var b strings.Builder
	for _, second := range times {
		fmt.Fprintf(&b, "%d,", second)
	}
	return "excluded = {" + b.String() + "}\n" + Run(dir, Exclusions)
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
