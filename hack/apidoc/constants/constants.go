// Package constants reads the documented constants of a Go file. It guarantees that each
// of them has a comment.
package constants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// Constant is a documented constant.
type Constant struct{ Name, Value, Comment string }

// Read reads the string constants of a Go file, in their order. One
// without a comment is an error: it would be missing in the reference.
func Read(path string) ([]Constant, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var found []Constant
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
			found = append(found, Constant{Name: name, Value: text, Comment: value.Doc.Text()})
		}
	}
	return found, nil
}

// Paragraph returns the paragraph of a comment that begins with a label, without it.
func (c Constant) Paragraph(label string) string {
	for paragraph := range strings.SplitSeq(c.Comment, "\n\n") {
		if text, ok := strings.CutPrefix(strings.Join(strings.Fields(paragraph), " "), label); ok {
			return text
		}
	}
	return ""
}
