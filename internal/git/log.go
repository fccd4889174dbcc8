package git

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// maxLog is the size of the largest log that is read, in bytes.
const maxLog = 16 << 20

// Logged is a commit with the trailers of its message.
type Logged struct {
	Hash     string
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
		args := []string{"log", "-z", "--format=tformat:%H%x00%B", "--fixed-strings", "--regexp-ignore-case", "--grep=" + trailer + ":",
			fmt.Sprintf("--since=%d", since.Unix()), fmt.Sprintf("--max-count=%d", most), "--end-of-options", revision}
		if not != "" {
			args = append(args, "^"+not)
		}
		return m.run(ctx, command{dir: dir, repository: key, args: args, read: func(out io.Reader) error {
			content, err := io.ReadAll(io.LimitReader(out, maxLog))
			fields := strings.Split(string(content), "\x00")
			for i := 0; i+1 < len(fields); i += 2 {
				if list := trailers(fields[i+1]); has(list, trailer) {
					found = append(found, Logged{Hash: fields[i], Trailers: list})
				}
			}
			return err
		}})
	})
	return found, err
}

func has(list []Trailer, key string) bool {
	for _, t := range list {
		if strings.EqualFold(t.Key, key) {
			return true
		}
	}
	return false
}
