// Package luapattern reads the patterns of Lua. It guarantees that a pattern that
// it accepts means to the Lua of Argo Events what it means to Lua, and can be
// matched against any text without an error, and against one of MaxText bytes in
// a time that has an end.
package luapattern

import (
	"errors"
	"fmt"

	"github.com/yuin/gopher-lua/pm"
)

// CheckLuaPattern returns what is wrong with a pattern, and nil when nothing is.
func CheckLuaPattern(pattern string) error {
	if err := check(pattern); err != nil {
		return err
	}
	if err := measure(pattern).check(); err != nil {
		return err
	}
	// An empty text is enough to have the pattern compiled.
	if _, err := pm.Find(pattern, nil, 0, 1); err != nil {
		return fmt.Errorf("it is no Lua pattern: %w", err)
	}
	return nil
}

// check finds what the engine takes for something else, or stumbles over only
// when it gets there.
func check(pattern string) error {
	// captures tells of each capture whether it has ended and can be repeated;
	// open are those that have not ended, and starts is where each begins.
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
					return errors.New("%b needs the two characters that it balances, as %b()")
				}
			case '0' <= c && c <= '9':
				if n := int(c - '1'); n < 0 || n >= len(captures) || !captures[n] {
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
			// An empty capture is a place, which cannot be repeated.
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

// maxCaptures is how many captures Lua allows.
const maxCaptures = 32

// endOfSet returns where the set ends that begins at a place of a pattern.
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
