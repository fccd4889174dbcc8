package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// watchers watch one list at once, watchedBy for each client.
	watchers, watchedBy = 1000, 20
	// watchedChanges are saved one after another.
	watchedChanges = 5
)

// endOfChange stands for the name in an event that follows all events of a change.
const endOfChange = "(bookmark)"

// measureWatchers has a thousand requests watch a list, and measures the memory of the
// server and the time from the reply to a write until it has reached all of them.
func (b *restBench) measureWatchers(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	before, err := rss(b.api.PID())
	if err != nil {
		return err
	}
	told := make(chan string, watchers)
	failed := make(chan error, watchers)
	for i := range watchers {
		go func() {
			if err := b.watch(ctx, i/watchedBy, told); ctx.Err() == nil {
				failed <- fmt.Errorf("a watcher ended: %w", err)
			}
		}()
	}
	if err := await(ctx, endOfChange, told, failed); err != nil {
		return err
	}
	after, err := rss(b.api.PID())
	if err != nil {
		return err
	}
	var took []time.Duration
	for n := range watchedChanges {
		name := fmt.Sprintf("watched-%d", n)
		if err := b.ask(ctx, 0, http.MethodPost, watched()+"/"+name, `{"language": "go"}`); err != nil {
			return err
		}
		saved := time.Now()
		if err := await(ctx, name, told, failed); err != nil {
			return err
		}
		took = append(took, time.Since(saved))
	}
	fmt.Printf("%d watchers of a list: %d KiB of the server's resident memory each; a write reaches all of them within %s (p50/p99) of its reply\n",
		watchers, (after-before)>>10/watchers, spread(took))
	return nil
}

// await waits until all watchers were told of an object.
func await(ctx context.Context, name string, told <-chan string, failed <-chan error) error {
	late := time.After(patience)
	for left := watchers; left > 0; {
		select {
		case one := <-told:
			if one == name {
				left--
			}
		case err := <-failed:
			return err
		case <-late:
			return fmt.Errorf("%d watchers were not told of %s", left, name)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// watched is the list of the projects of a product.
func watched() string { return products() + "/" + group(writtenProducts-1) + "/projects" }

// named returns the name of the object in the data of an event, or endOfChange, or "" if it
// has neither.
func named(data string) string {
	var event struct {
		Type   string
		Object struct{ Name string }
	}
	switch {
	case json.Unmarshal([]byte(data), &event) != nil:
		return ""
	case event.Type == "BOOKMARK":
		return endOfChange
	}
	return event.Object.Name
}

// watch watches the list, and sends the names in all events.
func (b *restBench) watch(ctx context.Context, client int, told chan<- string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, b.api.URL+watched()+"?watch=true", nil)
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+b.tokens[client])
	reply, err := b.client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return errors.New(reply.Status)
	}
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data:")
		if !found {
			continue
		}
		if name := named(data); name != "" {
			select {
			case told <- name:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return errors.Join(errors.New("the stream ended"), lines.Err())
}
