package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

const (
	// maxPhrases is the limit of phrases per 1,000 lines of comments.
	maxPhrases = 5
	// maxShown is how many of them a breach shows.
	maxShown = 20
)

// phrases matches the words that CONTRIBUTING asks to avoid. They are concatenated so
// that this file does not breach its own rule.
var phrases = regexp.MustCompile(`(?i)\b(wh` + `at|tel` + `ls?|(?:those|th` + `at) of|(?:some|no|any)bo` + `dy)\b`)

// allowed matches the uses of these words that are plain English.
var allowed = regexp.MustCompile(`(?i)\bno matter wh` + `at\b`)

// wording counts the phrases in comments.
type wording struct {
	lines, found int
	// shown are the first places, as path:line: phrase.
	shown []string
}

// count adds the comments of a file. Directives, such as //go:embed, do not count.
func (w *wording) count(files *token.FileSet, file *ast.File) {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if _, directive := ast.ParseDirective(comment.Pos(), comment.Text); directive {
				continue
			}
			first := files.Position(comment.Pos())
			for i, line := range strings.Split(comment.Text, "\n") {
				w.lines++
				for _, phrase := range phrases.FindAllString(allowed.ReplaceAllString(line, ""), -1) {
					w.found++
					if len(w.shown) < maxShown {
						w.shown = append(w.shown, fmt.Sprintf("%s:%d: avoid %q", first.Filename, first.Line+i, phrase))
					}
				}
			}
		}
	}
}

// breaches returns the breach of the limit and the first places, or nil if there
// are few enough phrases.
func (w *wording) breaches() []string {
	if w.found*1000 <= maxPhrases*w.lines {
		return nil
	}
	return append(w.shown, fmt.Sprintf("comments: %d phrases in %d lines, %d per 1,000 are allowed: write plain English, as CONTRIBUTING.md asks", w.found, w.lines, maxPhrases))
}
