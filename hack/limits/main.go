// Command limits checks the rules for size and wording on all Go files below a
// directory: no file over 500 lines, no function over 80, no interface over 8
// methods, no note of unfinished work, a limit of lines for some rooms, and few of
// the phrases that make comments hard to read. It prints each breach and exits with
// 1 if there is one.
//
// Generated files do not count. In tests the rows of tables do not count, since a
// long table is better than a split one.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	maxFile      = 500
	maxFunction  = 80
	maxInterface = 8
)

// unfinished matches notes of work to be done. The words are concatenated so that
// this file does not breach its own rule.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	breaches, err := check(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(2)
	}
	for _, breach := range breaches {
		fmt.Println(breach)
	}
	if len(breaches) > 0 {
		os.Exit(1)
	}
}

// check returns the breaches in the Go files below root, in the order of their paths.
func check(root string) ([]string, error) {
	breaches, err := checkRooms(root)
	if err != nil {
		return nil, err
	}
	words := &wording{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == "bin" || name == "testdata" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		found, err := checkFile(path, words)
		breaches = append(breaches, found...)
		return err
	})
	return append(breaches, words.breaches()...), err
}

// checkFile returns the breaches in a file, and counts its phrases in words.
func checkFile(path string, words *wording) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	f := &source{files: files, test: strings.HasSuffix(path, "_test.go")}
	if lines := files.File(file.FileStart).LineCount() - f.tableLines(file); lines > maxFile {
		f.breach(file.Name, "the file has %d lines, %d are allowed: split it by its tasks", lines, maxFile)
	}
	ast.Inspect(file, f.inspect)
	words.count(files, file)
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if word := unfinished.FindString(comment.Text); word != "" {
				f.breach(comment, "%s: finish it or open an issue", word)
			}
		}
	}
	return f.breaches, nil
}

// source is one file under inspection.
type source struct {
	files    *token.FileSet
	test     bool
	breaches []string
}

func (s *source) breach(at ast.Node, format string, args ...any) {
	position := s.files.Position(at.Pos())
	s.breaches = append(s.breaches, fmt.Sprintf("%s:%d: %s", position.Filename, position.Line, fmt.Sprintf(format, args...)))
}

func (s *source) inspect(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.FuncDecl:
		if lines := s.lines(n) - s.tableLines(n); lines > maxFunction {
			s.breach(n, "%s has %d lines, %d are allowed: split it by its tasks", n.Name.Name, lines, maxFunction)
		}
	case *ast.TypeSpec:
		if i, ok := n.Type.(*ast.InterfaceType); ok {
			if methods := len(i.Methods.List); methods > maxInterface {
				s.breach(n, "%s has %d methods, %d are allowed: ask for less or split it", n.Name.Name, methods, maxInterface)
			}
		}
	}
	return true
}

func (s *source) lines(n ast.Node) int {
	return s.files.Position(n.End()).Line - s.files.Position(n.Pos()).Line + 1
}

// tableLines returns the number of lines of the tables of a test: the lines between
// the braces of map and slice literals, and the lines of long strings.
func (s *source) tableLines(root ast.Node) int {
	if !s.test {
		return 0
	}
	total := 0
	ast.Inspect(root, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.CompositeLit:
			switch n.Type.(type) {
			case *ast.MapType, *ast.ArrayType:
				total += max(0, s.lines(n)-s.lines(n.Type)-1)
				return false
			}
		case *ast.BasicLit:
			total += s.lines(n) - 1
		}
		return true
	})
	return total
}
