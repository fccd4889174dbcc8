package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// constant is a documented constant of the API.
type constant struct{ name, value, comment string }

// readConstants reads the string constants of a Go file, in their order. One
// without a comment is an error: it would be missing on the page.
func readConstants(path string) ([]constant, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var found []constant
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			name := value.Names[0].Name
			if len(value.Names) != 1 || len(value.Values) != 1 {
				return nil, fmt.Errorf("%s: the constant %s is not one text", path, name)
			}
			literal, ok := value.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return nil, fmt.Errorf("%s: the constant %s is not one text", path, name)
			}
			if value.Doc.Text() == "" {
				return nil, fmt.Errorf("%s: the constant %s has no comment", path, name)
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: the constant %s: %w", path, name, err)
			}
			found = append(found, constant{name: name, value: text, comment: value.Doc.Text()})
		}
	}
	return found, nil
}

const conditionsIntroduction = `<!-- Generated from api/v1alpha1/conditions.go by hack/apidoc. Do not edit: change the comments there. -->

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
func renderConditions(constants []constant) []byte {
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
		for _, c := range constants {
			if !strings.HasPrefix(c.name, section.prefixes) {
				continue
			}
			fmt.Fprintf(out, "| %s | %s |", code(c.value), meaning(c, constants))
			if advised {
				fmt.Fprintf(out, " %s | %s |", cell(c.paragraph("Example: ")), upperFirst(cell(c.paragraph("Remedy: "))))
			}
			out.WriteString("\n")
		}
	}
	return out.Bytes()
}

// identifier matches the name of a constant in a comment.
var identifier = regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`)

// paragraph returns the paragraph of a comment that begins with a label, without it.
func (c constant) paragraph(label string) string {
	for paragraph := range strings.SplitSeq(c.comment, "\n\n") {
		if text, ok := strings.CutPrefix(strings.Join(strings.Fields(paragraph), " "), label); ok {
			return text
		}
	}
	return ""
}

// cell returns a text as the cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(text)
}

// meaning is the first paragraph of the comment of a constant for readers who do not know the Go names:
// without its own name, and with the values of the others.
func meaning(c constant, constants []constant) string {
	comment, _, _ := strings.Cut(c.comment, "\n\n")
	comment = strings.Join(strings.Fields(comment), " ")
	comment = strings.TrimPrefix(comment, c.name)
	comment = strings.TrimPrefix(strings.TrimPrefix(comment, ":"), " is")
	comment = strings.ReplaceAll(comment, "|", `\|`)
	comment = strings.ReplaceAll(comment, "<", "&lt;")
	return upperFirst(strings.TrimSpace(identifier.ReplaceAllStringFunc(comment, func(word string) string {
		for _, other := range constants {
			if other.name == word {
				return code(other.value)
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
