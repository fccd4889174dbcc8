package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// maxCommit is the number of bytes of a commit that are read.
	maxCommit = 1 << 20
	// maxTree is the size, in bytes, of the largest directory that is read.
	maxTree = 16 << 20
)

var (
	// errMissing: the mirror does not have an object.
	errMissing = errors.New("no such object")
	// errDamaged: the mirror does not have an object that it must have.
	errDamaged = errors.New("the mirror is damaged and the next fetch replaces it: try again")
	// errTooLarge: an object is larger than its limit.
	errTooLarge = errors.New("object is too large")
)

// session is a conversation with one git process about the objects of a mirror.
type session struct {
	in  io.Writer
	out *bufio.Reader
}

// session runs f with a session on the repository at dir.
func (m *Mirrors) session(ctx context.Context, dir, repository string, f func(*session) error) error {
	return m.run(ctx, command{
		dir: dir, repository: repository, args: []string{"cat-file", "--batch-command", "--buffer"},
		talk: func(in io.WriteCloser, out io.Reader) error {
			defer func() { _ = in.Close() }()
			return f(&session{in: in, out: bufio.NewReader(out)})
		},
	})
}

// ask sends one request for each name, and calls answered in the same order to read
// each answer. It does not wait for an answer before it sends the next request.
func (s *session) ask(verb string, names []string, answered func(name string) error) error {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(verb + " " + name + "\n")
	}
	b.WriteString("flush\n")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// If git does not listen it has ended, and so has its output.
		_, _ = io.WriteString(s.in, b.String())
	}()
	for _, name := range names {
		// After an error the end of the session also ends the sender.
		if err := answered(name); err != nil {
			return err
		}
	}
	<-sent
	return nil
}

// header reads "hash type size". This is the answer to info, and the first line of
// the answer to contents.
func (s *session) header(kind string) (id string, size int64, err error) {
	line, err := s.out.ReadString('\n')
	if err != nil {
		return "", 0, io.ErrUnexpectedEOF
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[1] != kind || !hashForm.MatchString(fields[0]) {
		return "", 0, errMissing
	}
	size, err = strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return "", 0, errMissing
	}
	return fields[0], size, nil
}

// content reads the answer to a request for an object of a kind.
func (s *session) content(kind string, limit int64) (id string, content []byte, err error) {
	id, size, err := s.header(kind)
	if err != nil {
		return "", nil, err
	}
	if size > limit {
		return "", nil, errTooLarge
	}
	content = make([]byte, size+1)
	if _, err := io.ReadFull(s.out, content); err != nil {
		return "", nil, io.ErrUnexpectedEOF
	}
	return id, content[:size:size], nil
}

// commit reads the commit of a hash or reference. A commit whose message is not read to
// its end confirms nothing.
func (s *session) commit(name string) (c commitObject, err error) {
	err = s.ask("contents", []string{name}, func(string) error {
		id, size, err := s.header("commit")
		if err != nil {
			return err
		}
		content := make([]byte, min(size, maxCommit))
		if _, err := io.ReadFull(s.out, content); err != nil {
			return io.ErrUnexpectedEOF
		}
		// A line end follows the object.
		if _, err := io.CopyN(io.Discard, s.out, size-int64(len(content))+1); err != nil {
			return io.ErrUnexpectedEOF
		}
		c = parseCommit(id, string(content))
		c.ConfirmsPrune = c.ConfirmsPrune && size <= maxCommit
		return nil
	})
	return c, err
}

// tree reads one directory.
func (s *session) tree(id string) (content []byte, err error) {
	err = s.ask("contents", []string{id}, func(string) error {
		_, content, err = s.content("tree", maxTree)
		return err
	})
	if errors.Is(err, errMissing) {
		return nil, fmt.Errorf("directory %s: %w", id, errDamaged)
	}
	return content, err
}

// sizes calls f with the size of each blob.
func (s *session) sizes(ids []string, f func(id string, size int64) error) error {
	return s.ask("info", ids, func(id string) error {
		_, size, err := s.header("blob")
		if errors.Is(err, errMissing) {
			return fmt.Errorf("blob %s: %w", id, errDamaged)
		}
		if err != nil {
			return err
		}
		return f(id, size)
	})
}

// blobs reads blobs whose sizes are known to be within the limit.
func (s *session) blobs(ids []string, limit int64) (map[string][]byte, error) {
	contents := make(map[string][]byte, len(ids))
	err := s.ask("contents", ids, func(id string) error {
		_, content, err := s.content("blob", limit)
		contents[id] = content
		return err
	})
	return contents, err
}
