package luapattern

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// MaxText is the length of the longest text that patterns are made for. The Lua of
// Argo Events tries every way in which a pattern could match, and a longer text
// has more of them: what matches patterns has to leave longer ones out.
const MaxText = 512

const (
	// maxRepeats is how many times a pattern may repeat something without end.
	maxRepeats = 3
	// maxWork is how much work a match may be. The engine does some 200 million of
	// these units a second: what people write takes it less than a second, and the
	// worst that they can make up about 15.
	maxWork = 3e9

	// The work of one way, of a capture in it, and of repeating a capture; that of
	// comparing a character is 1.
	workOfWay, workOfCapture, workOfCopy = 8, 10, 100
)

// cost tells what the work is to find that a text does not match a pattern.
type cost struct {
	// repeats are the places where the text can be divided, and options those
	// where one character may be there or not.
	repeats, options int
	// anywhere: a match can begin at each character.
	anywhere bool
	// way is the work of one way of dividing the text.
	way int
}

// measure returns the cost of a pattern that check accepts.
func measure(pattern string) cost {
	c := cost{anywhere: !strings.HasPrefix(pattern, "^")}
	// single: what was read last is one character, so that it can be repeated.
	// tail is what is compared in each way: all that follows the last repetition.
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
			// The set ends, or check had not accepted it.
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

// check returns an error when the work could be too much.
func (c cost) check() error {
	if c.repeats > maxRepeats {
		return fmt.Errorf("it has %d of *, +, - and %%b, and a long ref would take Argo Events too long: use at most %d", c.repeats, maxRepeats)
	}
	if c.work() > maxWork {
		return errors.New("a long ref would take Argo Events too long: begin the pattern with ^, or use fewer of *, +, -, ? and parentheses")
	}
	return nil
}

// work returns the work for a text of MaxText bytes: there are that many ways to
// put n places into it in order.
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
