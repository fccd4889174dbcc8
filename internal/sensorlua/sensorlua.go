// Package sensorlua holds the Lua programs that sensors run over events. It
// guarantees that they are the same for everybody: they are files, and the one
// thing of a runtime beside them, the pattern of a ref, is a literal that can be
// nothing but its bytes. Files keep the sensors small, which have to fit into one
// environment variable.
//
// Argo Events lets a program see an event as the global event, and turns the
// table that a transformation returns into the data that filters and parameters
// read. The programs return strings only, and never fail:
//
//	event    push_events and so on, or calendar; empty for what runs nothing
//	ref      the full name that the event concerns, as refs/heads/main, or empty
//	commit   40 hexadecimal digits, or empty
//	payload  the launch.Event, as launch.Encode writes it
//	key      tells deliveries apart, and is the same when one is repeated: at
//	         most MaxKey lower case letters, digits and dashes
//	refText  ref with a % and two digits for each byte that is not a letter, a
//	         digit or one of ._/@+-
package sensorlua

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"nautes.io/nautes/internal/forge/forges"
)

// MaxKey is the length of the longest key.
const MaxKey = 45

// Memory is what a program needs at most for an event of 1 MiB, which is the
// largest that Argo Events takes, in bytes.
const Memory = 32 << 20

// The programs that no forge brings along, as Files names them.
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

// MatchRef returns a program that tells whether the ref that another program
// found matches a Lua pattern; the Files are in a directory. What is no pattern
// matches nothing, and a ref of more than luapattern.MaxText bytes matches none.
func MatchRef(dir, pattern string) string {
	return "pattern = " + Literal(pattern) + "\n" + Run(dir, Ref)
}

// Literal returns a text as a literal of Lua that holds digits and backslashes
// only: nothing in the text can end it.
func Literal(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		fmt.Fprintf(&b, `\%03d`, text[i])
	}
	b.WriteByte('"')
	return b.String()
}
