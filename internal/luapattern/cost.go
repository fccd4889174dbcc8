package luapattern

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// MaxText is the length of the longest text to match, in bytes. The Lua of Argo Events
// tries every way in which a pattern could match, and a longer text has more ways. A
// program that matches patterns must reject longer texts.
const MaxText = 512

const (
	// maxRepeats is the number of unlimited repetitions that a pattern may have.
	maxRepeats = 3
	// maxWork limits the work of a match. The engine does some 200 million units a
	// second: usual patterns take less than a second, the worst accepted ones about 15.
	maxWork = 3e9

	// Relative work of one backtracking path, of a capture in it, and of a repeated
	// capture; comparing one byte is 1.
	workOfWay, workOfCapture, workOfCopy = 8, 10, 100
)

// cost describes the work of finding that a text does not match a pattern.
type cost struct {
	// repeats is the number of unlimited repetitions, and options the number of
	// optional characters.
	repeats, options int
	// anywhere is true if a match can begin at each character.
	anywhere bool
	// way is the work of one backtracking path.
	way int
}

// measure returns the cost of a pattern. check must have accepted it.
func measure(pattern string) cost {
	c := cost{anywhere: !strings.HasPrefix(pattern, "^")}
	// single is true if the last item is a single character, which can be repeated.
	// tail counts the items after the last repetition: each path compares them.
	single, tail, captures, copies := false, 0, 0, false
	for i := len(pattern) - len(strings.TrimPrefix(pattern, "^")); i < len(pattern); i++ {
		next := true
		switch pattern[i] {
		case '%':
			i++
			switch {
			case pattern[i] == 'b':
				i += 2
				c.repeats++
				next = false
			case '0' <= pattern[i] && pattern[i] <= '9':
				copies, next = true, false
			}
		case '[':
			// check accepts only sets that end.
			i, _ = endOfSet(pattern, i)
		case '(':
			captures++
			next = false
		case ')':
			next = false
		case '*', '+', '-':
			if single {
				c.repeats++
				tail, next = 0, false
			}
		case '?':
			if single {
				c.options++
				next = false
			}
		}
		if single = next; next {
			tail++
		}
	}
	c.way = workOfWay + tail + workOfCapture*captures
	if copies {
		c.way += workOfCopy
	}
	return c
}

// check returns an error if the work could be too much.
func (c cost) check() error {
	if c.repeats > maxRepeats {
		return fmt.Errorf("it has %d of *, +, - and %%b, and a long ref would take Argo Events too long: use at most %d", c.repeats, maxRepeats)
	}
	if c.work() > maxWork {
		return errors.New("a long ref would take Argo Events too long: begin the pattern with ^, or use fewer of *, +, -, ? and parentheses")
	}
	return nil
}

// work returns the work for a text of MaxText bytes. The number of paths is the number
// of ordered choices of the repetitions' positions in the text.
func (c cost) work() float64 {
	places := c.repeats
	if c.anywhere {
		places++
	}
	ways := 1.0
	for i := range places {
		ways *= float64(MaxText+i) / float64(i+1)
	}
	return ways * math.Exp2(float64(c.options)) * float64(c.way)
}
