package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"nautes.io/nautes/hack/apidoc/constants"
)

const conditionsIntroduction = `<!-- Generated from conditions.go and labels.go of api/v1alpha1 by hack/apidoc. Do not edit: change the comments there. -->

# Conditions, labels and annotations

Every object reports its state in ` + "`status.conditions`" + `, as kstatus expects it: ` + "`kubectl wait --for=condition=Ready`" + ` works
on every kind, and ` + "`kubectl get`" + ` shows the message of Ready, which says what is wrong, with which object, and what to do.

`

// sections are the tables of the page, by the beginning of the constants' names.
var sections = []struct{ title, column, introduction, prefixes string }{
	{"Types", "Type", "", "Condition"},
	{"Reasons", "Reason", "The reason of a condition is one of these words. Programs may rely on them. The examples are printed by the product; a test holds that.", "Reason"},
	{"Labels", "Label", "", "Label"},
	{"Annotations", "Annotation", "", "Annotation"},
}

// renderConditions returns the page about conditions.
func renderConditions(all []constants.Constant) []byte {
	out := &bytes.Buffer{}
	out.WriteString(conditionsIntroduction)
	for i, section := range sections {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(out, "## %s\n\n", section.title)
		if section.introduction != "" {
			fmt.Fprintf(out, "%s\n\n", section.introduction)
		}
		advised := section.prefixes == "Reason"
		if advised {
			fmt.Fprintf(out, "| %s | Meaning | Example, as printed | Remedy |\n|---|---|---|---|\n", section.column)
		} else {
			fmt.Fprintf(out, "| %s | Meaning |\n|---|---|\n", section.column)
		}
		for _, c := range all {
			if !strings.HasPrefix(c.Name, section.prefixes) {
				continue
			}
			fmt.Fprintf(out, "| %s | %s |", code(c.Value), meaning(c, all))
			if advised {
				fmt.Fprintf(out, " %s | %s |", cell(c.Paragraph("Example: ")), upperFirst(cell(c.Paragraph("Remedy: "))))
			}
			out.WriteString("\n")
		}
	}
	return out.Bytes()
}

// identifier matches the name of a constant in a comment.
var identifier = regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`)

// cell returns a text as the cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(text)
}

// meaning is the first paragraph of the comment of a constant for readers who do not know the Go names:
// without its own name, and with the values of the others.
func meaning(c constants.Constant, all []constants.Constant) string {
	comment, _, _ := strings.Cut(c.Comment, "\n\n")
	comment = strings.Join(strings.Fields(comment), " ")
	comment = strings.TrimPrefix(comment, c.Name)
	comment = strings.TrimPrefix(strings.TrimPrefix(comment, ":"), " is")
	comment = strings.ReplaceAll(comment, "|", `\|`)
	comment = strings.ReplaceAll(comment, "<", "&lt;")
	return upperFirst(strings.TrimSpace(identifier.ReplaceAllStringFunc(comment, func(word string) string {
		for _, other := range all {
			if other.Name == word {
				return code(other.Value)
			}
		}
		return word
	})))
}

// upperFirst begins a sentence, unless it begins with the path of a field.
func upperFirst(s string) string {
	word, _, _ := strings.Cut(s, " ")
	if strings.Contains(word, ".") {
		return s
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}
