package gitlab

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const (
	defaultPage = 20
	largestPage = 100
	// countedRows is the number of rows up to which GitLab counts them.
	countedRows = 10_000
	// largestOffset is the last row that pages of a number reach.
	largestOffset = 50_000

	paging = " page:int per_page:int"
)

// page replies with a page of a list.
// https://docs.gitlab.com/api/rest/#pagination
func (c *call) page(all []object) reply {
	number, size := c.number("page"), c.number("per_page")
	if number < 1 {
		number = 1
	}
	if size < 1 {
		size = defaultPage
	}
	size = min(size, largestPage)
	start := (number - 1) * size
	if start >= largestOffset {
		return reply{status: http.StatusMethodNotAllowed, body: object{"error": "Offset pagination has a maximum allowed offset of 50000 for requests that return objects of this type. Remaining records can be retrieved using keyset pagination."}}
	}
	total := int64(len(all))
	pages := max(1, (total+size-1)/size)
	end := min(start+size, total)
	rows := []object{}
	if start < total {
		rows = all[start:end]
	}
	header := http.Header{}
	set := func(name string, value int64, given bool) {
		text := ""
		if given {
			text = strconv.FormatInt(value, 10)
		}
		header.Set(name, text)
	}
	set("X-Page", number, true)
	set("X-Per-Page", size, true)
	set("X-Next-Page", number+1, number < pages)
	set("X-Prev-Page", number-1, number > 1)
	links := []string{c.link(1, size, "first")}
	if number < pages {
		links = append(links, c.link(number+1, size, "next"))
	}
	if number > 1 {
		links = append(links, c.link(number-1, size, "prev"))
	}
	if total <= countedRows {
		set("X-Total", total, true)
		set("X-Total-Pages", pages, true)
		links = append(links, c.link(pages, size, "last"))
	}
	header.Set("Link", strings.Join(links, ", "))
	return reply{status: http.StatusOK, body: rows, header: header}
}

func (c *call) link(number, size int64, relation string) string {
	query := c.r.URL.Query()
	query.Set("page", strconv.FormatInt(number, 10))
	query.Set("per_page", strconv.FormatInt(size, 10))
	return fmt.Sprintf("<%s%s?%s>; rel=%q", c.URL, c.r.URL.EscapedPath(), query.Encode(), relation)
}

// list makes the rows of a list.
func list[T any](all []T, row func(T) object) []object {
	rows := []object{}
	for _, one := range all {
		rows = append(rows, row(one))
	}
	return rows
}
