package git

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// maxLog is the size of the largest log that is read, in bytes.
const maxLog = 16 << 20

// Logged is a commit with parts of its message. Parent is the hash of its first parent,
// or empty.
type Logged struct {
	Hash, Parent string
	// Email of the author.
	Email    string
	Subject  string
	Trailers []Trailer
}

// Log returns the commits of a revision that have a trailer with a key, the newest
// first, at most a number of them. It leaves out commits older than since, and, if not is
// not empty, the commits of that revision.
func (m *Mirrors) Log(ctx context.Context, key, revision, not, trailer string, since time.Time, most int) ([]Logged, error) {
	if !hashForm.MatchString(revision) || not != "" && !hashForm.MatchString(not) {
		return nil, unknown(key, revision)
	}
	var found []Logged
	err := m.reading(ctx, key, func(dir string, _ *session) error {
		args := []string{"log", "-z", "--format=tformat:%H%x00%P%x00%ae%x00%B", "--fixed-strings", "--regexp-ignore-case", "--grep=" + trailer + ":",
			fmt.Sprintf("--since=%d", since.Unix()), fmt.Sprintf("--max-count=%d", most), "--end-of-options", revision}
		if not != "" {
			args = append(args, "^"+not)
		}
		return m.run(ctx, command{dir: dir, repository: key, args: args, read: func(out io.Reader) error {
			content, err := io.ReadAll(io.LimitReader(out, maxLog))
			fields := strings.Split(string(content), "\x00")
			for record := range slices.Chunk(fields, 4) {
				if len(record) < 4 {
					break
				}
				parent, _, _ := strings.Cut(record[1], " ")
				subject, _, _ := strings.Cut(record[3], "\n")
				if list := trailers(record[3]); has(list, trailer) {
					found = append(found, Logged{Hash: record[0], Parent: parent, Email: record[2], Subject: subject, Trailers: list})
				}
			}
			return err
		}})
	})
	return found, err
}

func has(list []Trailer, key string) bool {
	return slices.ContainsFunc(list, func(t Trailer) bool { return strings.EqualFold(t.Key, key) })
}
