// Package sensorlua holds the Lua programs that sensors run over events. It
// guarantees that they are the same for everybody: the one thing of a runtime in
// them, the pattern of a ref, is a literal that can be nothing but its bytes.
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
	"strings"
)

// MaxKey is the length of the longest key.
const MaxKey = 45

var (
	//go:embed common.lua
	common string
	//go:embed gitlab.lua
	gitlab string
	//go:embed calendar.lua
	calendar string
	//go:embed ref.lua
	ref string
)

// GitLab returns the program that reads a delivery of GitLab: its headers and
// body. Deletions, and what concerns the code of a fork, run nothing.
func GitLab() string { return compact(common + gitlab) }

// Calendar returns the program that reads an event of a calendar.
func Calendar() string { return compact(calendar) }

// MatchRef returns the program that tells whether the ref that another program
// found matches a Lua pattern. What is no pattern matches nothing, and a ref of
// more than luapattern.MaxText bytes matches none.
func MatchRef(pattern string) string {
	return "local pattern = " + Literal(pattern) + "\n" + compact(ref)
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

// compact takes the comments and the indentation out of a program: a sensor
// carries it once for each of its event sources.
func compact(program string) string {
	var b strings.Builder
	for line := range strings.Lines(program) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "--") {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
