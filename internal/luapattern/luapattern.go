// Package luapattern checks Lua patterns. It guarantees that an accepted pattern has
// the same meaning in Lua and in the Lua of Argo Events, that it matches any text
// without an error, and that matching a text of MaxText bytes takes a bounded time.
package luapattern

import (
	"errors"
	"fmt"

	"github.com/yuin/gopher-lua/pm"
)

// CheckLuaPattern returns the problem of a pattern, or nil if it is accepted.
func CheckLuaPattern(pattern string) error {
	if err := check(pattern); err != nil {
		return err
	}
	if err := measure(pattern).check(); err != nil {
		return err
	}
	// Matching an empty text compiles the pattern.
	if _, err := pm.Find(pattern, nil, 0, 1); err != nil {
		return fmt.Errorf("it is not a Lua pattern: %w", err)
	}
	return nil
}

// check returns an error for a pattern that the engine interprets differently from
// Lua, or that fails for some texts only.
func check(pattern string) error {
	// captures has true for each capture that has ended and can be repeated. open has
	// the captures that have not ended, and starts the position of each.
	var captures []bool
	var open, starts []int
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '%':
			if i++; i == len(pattern) {
				return errors.New("it ends with %: write %% for the character")
			}
			switch c := pattern[i]; {
			case c == 'f':
				return errors.New("%f, the frontier pattern, is unknown to Argo Events: write the pattern without it")
			case c == 'b':
				if i += 2; i >= len(pattern) {
					return errors.New("%b needs the two characters that it balances, for example %b()")
				}
			case '0' <= c && c <= '9':
				if n := int(c) - '1'; n < 0 || n >= len(captures) || !captures[n] {
					return fmt.Errorf("%%%c repeats a capture that does not end before it: add the parentheses, or write %%%% for the character", c)
				}
			}
		case '[':
			end, err := endOfSet(pattern, i)
			if err != nil {
				return err
			}
			i = end
		case '(':
			open = append(open, len(captures))
			captures, starts = append(captures, false), append(starts, i)
		case ')':
			if len(open) == 0 {
				return errors.New("a ) closes nothing: write %) for the character")
			}
			last := open[len(open)-1]
			// An empty capture is a position, which cannot be repeated.
			captures[last] = i > starts[last]+1
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return errors.New("a ( is not closed: add the ), or write %( for the character")
	}
	if len(captures) > maxCaptures {
		return fmt.Errorf("it has more than %d captures: take the parentheses away", maxCaptures)
	}
	return nil
}

// maxCaptures is the number of captures that Lua allows.
const maxCaptures = 32

// endOfSet returns the position of the end of the set that begins at a position.
func endOfSet(pattern string, at int) (int, error) {
	i := at + 1
	if i < len(pattern) && pattern[i] == '^' {
		i++
	}
	for first := true; i < len(pattern); first = false {
		switch c := pattern[i]; {
		case c == ']' && !first:
			return i, nil
		case c == '%':
			i++
		}
		i++
	}
	return 0, errors.New("a [ is not closed: add the ], or write %[ for the character")
}
