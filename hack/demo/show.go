package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// screen writes the output for people.
type screen struct {
	out     io.Writer
	started time.Time
}

func newScreen() *screen { return &screen{out: os.Stdout, started: time.Now()} }

func (s *screen) act(number int, title string) {
	fmt.Fprintf(s.out, "\n%d. %s\n", number, title)
}

func (s *screen) say(format string, args ...any) {
	fmt.Fprintf(s.out, "   "+format+"\n", args...)
}

// done prints a step that has ended, with its duration.
func (s *screen) done(what string, took time.Duration) {
	fmt.Fprintf(s.out, "   ✓ %-72s %8s\n", what, round(took))
}

func round(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}

// table prints objects as `kubectl get` does, with the columns that the API
// server answers.
func (s *screen) table(ctx context.Context, config *rest.Config, gv schema.GroupVersion, resource, namespace string, without ...string) error {
	config = rest.CopyConfig(config)
	config.GroupVersion = &gv
	config.APIPath = "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	raw, err := client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource).
		SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("get %s: %w", resource, err)
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		return fmt.Errorf("read the table of %s: %w", resource, err)
	}
	s.print(&table, without)
	return nil
}

func (s *screen) print(table *metav1.Table, without []string) {
	skip := map[int]bool{}
	var header []string
	for i, column := range table.ColumnDefinitions {
		skip[i] = column.Priority > 0
		for _, name := range without {
			skip[i] = skip[i] || strings.EqualFold(name, column.Name)
		}
		if !skip[i] {
			header = append(header, strings.ToUpper(column.Name))
		}
	}
	rows := [][]string{header}
	for _, row := range table.Rows {
		var cells []string
		for i, cell := range row.Cells {
			if skip[i] {
				continue
			}
			text := fmt.Sprint(cell)
			if cell == nil {
				text = ""
			}
			cells = append(cells, text)
		}
		rows = append(rows, cells)
	}
	s.rows(rows)
}

// rows prints a table, of which the first row is the header.
func (s *screen) rows(rows [][]string) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(s.out, "     "+strings.TrimRight(line, " \n"))
	}
}

// branch is a node of a tree.
type branch struct {
	text     string
	children []branch
}

func (s *screen) tree(root branch) {
	fmt.Fprintf(s.out, "     %s\n", root.text)
	s.branches(root.children, "     ")
}

func (s *screen) branches(children []branch, indent string) {
	for i, child := range children {
		mark, next := "├─ ", "│  "
		if i == len(children)-1 {
			mark, next = "└─ ", "   "
		}
		fmt.Fprintf(s.out, "%s%s%s\n", indent, mark, child.text)
		s.branches(child.children, indent+next)
	}
}
