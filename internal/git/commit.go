package git

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"nautes.io/nautes/internal/plan"
)

const (
	maxAuthor = 256
	// lastSecond is the end of the year 9999. The API server cannot print later times.
	lastSecond = 253402300799
)

// commitObject is a commit as it is stored.
type commitObject struct {
	Commit
	tree    string
	parents []string
}

// parseCommit reads the header of a commit. Fields that are missing or invalid
// stay empty, because authors can write anything into a commit.
func parseCommit(hash, content string) commitObject {
	c := commitObject{Commit: Commit{Hash: hash}}
	header, message, _ := strings.Cut(content, "\n\n")
	c.ConfirmsPrune = confirmsPrune(message)
	for line := range strings.SplitSeq(header, "\n") {
		field, value, _ := strings.Cut(line, " ")
		switch field {
		case "tree":
			c.tree = value
		case "parent":
			c.parents = append(c.parents, value)
		case "author":
			c.Author, _ = parseSignature(value)
		case "committer":
			_, c.Time = parseSignature(value)
		}
	}
	if len(c.parents) > 0 {
		c.Parent = c.parents[0]
	}
	return c
}

// parseSignature reads "name <address> seconds zone". Times before 1970 and
// after 9999 are zero.
func parseSignature(s string) (who string, when time.Time) {
	end := strings.LastIndexByte(s, '>')
	who = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s[:end+1], "?"))
	who = plan.Cut(who, maxAuthor)
	seconds, _, _ := strings.Cut(strings.TrimSpace(s[end+1:]), " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n <= 0 || n > lastSecond {
		return who, time.Time{}
	}
	return who, time.Unix(n, 0).UTC()
}
