package rest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/test/githost"
)

const environments = "/api/v1/products/labs/environments"

var compiled = sync.OnceValues(schema.New)

// live is a server on a real Git host, behind a real HTTP server.
type live struct {
	*rig
	repo *githost.Repo
	host *githost.Server
	http *httptest.Server
}

func newLive(t testing.TB, change ...func(*http.Server)) *live {
	t.Helper()
	host := githost.New(t)
	repo := host.Repo("labs/default.project")
	mirrors, err := git.New(t.TempDir(), git.Options{AllowedProtocols: []string{"http"}})
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	editor := edit.New(edit.Options{Mirrors: mirrors, Kinds: kinds, Tenant: "pluto", Namespace: "nautes"})
	l := &live{repo: repo, host: host, rig: newRig(t, func(o *Options) { o.Editor = editor })}
	l.git = strings.TrimSuffix(repo.URL(), "/labs/default.project.git")
	l.server.feeds.pause = 20 * time.Millisecond
	l.http = httptest.NewUnstartedServer(l.server)
	for _, f := range change {
		f(l.http.Config)
	}
	l.http.Config.RegisterOnShutdown(l.server.End)
	l.http.Start()
	t.Cleanup(func() {
		l.server.End()
		l.http.Close()
	})
	return l
}

func environmentFile(cluster string) string {
	return "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: Environment\nmetadata:\n  name: %s\nspec:\n  cluster: " + cluster + "\n  envType: dev\n"
}

// files returns the files of environments.
func files(cluster string, names ...string) map[string]string {
	all := map[string]string{}
	for _, name := range names {
		all["envs/"+name+".yaml"] = fmt.Sprintf(environmentFile(cluster), name)
	}
	return all
}

// received is a server-sent event.
type received struct {
	name, id, data string
	event          event
}

// says returns the type and name of the event's object.
func (r received) says() string {
	var object struct{ Name string }
	_ = json.Unmarshal(r.event.Object, &object)
	return strings.TrimSpace(r.event.Type + " " + object.Name)
}

// watching is a request that watches.
type watching struct {
	t      testing.TB
	code   int
	events chan received
	end    func()
}

func (l *live) watch(role, query string, headers ...string) *watching {
	l.t.Helper()
	q, err := http.NewRequestWithContext(l.t.Context(), "GET", l.http.URL+environments+"?watch=true"+query, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+role)
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	reply, err := l.http.Client().Do(q)
	if err != nil {
		l.t.Fatal(err)
	}
	w := &watching{t: l.t, code: reply.StatusCode, events: make(chan received, 100), end: func() { _ = reply.Body.Close() }}
	l.t.Cleanup(w.end)
	go func() {
		defer close(w.events)
		var one received
		lines := bufio.NewScanner(reply.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "event":
				one.name = value
			case "id":
				one.id = value
			case "data":
				one.data = value
			}
			if field == "" && one.data != "" {
				_ = json.Unmarshal([]byte(one.data), &one.event)
				w.events <- one
				one = received{}
			}
		}
	}()
	return w
}

// next returns the events up to the next bookmark, sorted, and the bookmark.
func (w *watching) next() (said []string, bookmark received) {
	w.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case one, open := <-w.events:
			if !open || one.event.Type == eventBookmark || one.name != "" {
				slices.Sort(said)
				return said, one
			}
			said = append(said, one.says())
		case <-deadline:
			w.t.Fatalf("no more events; got %v", said)
		}
	}
}

// want compares the events up to the next bookmark, and returns its id.
func (w *watching) want(want ...string) string {
	w.t.Helper()
	said, bookmark := w.next()
	if diff := cmp.Diff(want, said); diff != "" || bookmark.id == "" {
		w.t.Fatalf("events (-want +got):\n%s; then %+v", diff, bookmark)
	}
	return bookmark.id
}

func TestWatch(t *testing.T) {
	l := newLive(t)
	c := l.cluster(syncedProduct(l.repo.Push(files("alpha", "dev", "test"))))
	w := l.watch("reporter", "")
	w.want("ADDED dev", "ADDED test")
	selected := l.watch("reporter", "&field_selector=cluster%3Dbeta")
	first := selected.want()

	if reply := l.request("maintainer", "DELETE", environments+"/test", ""); reply.Code != http.StatusOK {
		t.Fatal(reply.Body)
	}
	id := w.want("DELETED test")

	// A push of others is found when the tenant cluster has mirrored it.
	pushed := l.repo.Push(files("beta", "dev", "prod"))
	product := &v1alpha1.Product{}
	if err := c.Get(t.Context(), kube.ObjectKey{Namespace: "nautes", Name: "product-42"}, product); err != nil {
		t.Fatal(err)
	}
	product.Status.Sync = &v1alpha1.SyncStatus{Revision: pushed}
	if err := c.Update(t.Context(), product); err != nil {
		t.Fatal(err)
	}
	w.want("ADDED prod", "MODIFIED dev")
	selected.want("ADDED dev", "ADDED prod")

	object := mirroredEnvironment("True", "")
	object.ObjectMeta = metav1.ObjectMeta{Name: "dev", Namespace: "product-42"}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	last := w.want("MODIFIED dev")

	l.watch("reporter", "", "Last-Event-ID", last).want()
	l.watch("reporter", "", "Last-Event-ID", id).want("ADDED prod", "MODIFIED dev")
	l.watch("reporter", "&field_selector=cluster%3Dalpha", "Last-Event-ID", id).want("DELETED dev")
	l.watch("reporter", "&field_selector=cluster%3Dbeta", "Last-Event-ID", first).want("ADDED dev", "ADDED prod")
	l.server.End()
	if said, end := w.next(); len(said) > 0 || end.data != "" {
		t.Errorf("after the end: %v %+v", said, end)
	}
}

func TestWatchRefused(t *testing.T) {
	l := newLive(t)
	l.repo.Push(files("alpha", "dev"))
	unknown := position{strings.Repeat("1", 40), 7}.String()
	for name, tt := range map[string]struct {
		role, query string
		headers     []string
		want        int
	}{
		"a guest":          {role: "guest", want: http.StatusForbidden},
		"an outsider":      {role: "outsider", want: http.StatusNotFound},
		"pages":            {role: "reporter", query: "&limit=1", want: http.StatusBadRequest},
		"a bad selector":   {role: "reporter", query: "&field_selector=x", want: http.StatusBadRequest},
		"no position":      {role: "reporter", headers: []string{"Last-Event-ID", "7"}, want: http.StatusBadRequest},
		"unknown revision": {role: "reporter", headers: []string{"Last-Event-ID", unknown}, want: http.StatusGone},
	} {
		t.Run(name, func(t *testing.T) {
			if w := l.watch(tt.role, tt.query, tt.headers...); w.code != tt.want {
				t.Errorf("status %d, want %d", w.code, tt.want)
			}
		})
	}
	var all []*watching
	for range maxStreams {
		all = append(all, l.watch("reporter", ""))
	}
	if w := l.watch("reporter", ""); w.code != http.StatusTooManyRequests {
		t.Errorf("status %d of one stream too many", w.code)
	}
	if w := l.watch("maintainer", ""); w.code != http.StatusOK {
		t.Errorf("status %d of another caller's stream", w.code)
	}
	all[0].end()
	eventually(t, "a stream has ended", func() bool { return l.watch("reporter", "").code == http.StatusOK })
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestWatchUnreadable holds that a repository that cannot be read is an error at once,
// and can be watched as soon as it can be read.
func TestWatchUnreadable(t *testing.T) {
	l := newLive(t)
	l.repo.Push(files("alpha", "dev"))
	l.host.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	for range 2 {
		if w := l.watch("reporter", ""); w.code != http.StatusServiceUnavailable {
			t.Errorf("status %d", w.code)
		}
	}
	l.host.Intercept(nil)
	eventually(t, "it can be watched", func() bool { return l.watch("reporter", "").code == http.StatusOK })
}

// TestWatchRevoked holds that a stream ends before the first event that its caller may
// not see.
func TestWatchRevoked(t *testing.T) {
	l := newLive(t)
	l.repo.Push(files("alpha", "dev"))
	w := l.watch("reporter", "")
	w.want("ADDED dev")
	l.revoked.Store(true)
	l.later.Store(int64(remembered + time.Second))
	l.repo.Push(files("alpha", "secret"))
	l.server.feeds.changed(productID(42))
	l.later.Add(int64(2 * feedAge))
	said, end := w.next()
	var p Problem
	_ = json.Unmarshal([]byte(end.data), &p)
	if len(said) > 0 || end.name != "error" || p.Reason != reasonNoProduct {
		t.Errorf("events %v, then %+v", said, end)
	}
	if _, more := w.next(); more.data != "" {
		t.Errorf("after the end: %+v", more)
	}
}

// TestWatchTimes holds that a stream outlives the time limits of requests, and that a
// client that takes nothing is cut.
func TestWatchTimes(t *testing.T) {
	const limit = time.Second
	l := newLive(t, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = limit, limit })
	l.server.slow = limit
	l.repo.Push(files("alpha", "dev"))
	w := l.watch("reporter", "")
	w.want("ADDED dev")
	conn, err := net.Dial("tcp", l.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(1 << 10)
	if _, err := fmt.Fprintf(conn, "GET %s?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer maintainer\r\n\r\n", environments); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		l.server.streams.mutex.Lock()
		defer l.server.streams.mutex.Unlock()
		return l.server.streams.all
	}
	eventually(t, "both watch", func() bool { return open() == 2 })
	// The limits of the HTTP server pass in silence.
	<-time.After(2 * limit)
	for i := 0; open() == 2; i++ {
		if i == 2000 {
			t.Fatal("the slow client is not cut")
		}
		l.touch(fmt.Sprintf("alpha-%d-%s", i, strings.Repeat("x", 100_000)))
		if said, end := w.next(); len(said) != 1 {
			t.Fatalf("events %v, then %+v", said, end)
		}
	}
	if got := open(); got != 1 {
		t.Errorf("%d streams", got)
	}
}

// touch makes all feeds have another list.
func (l *live) touch(cluster string) {
	l.server.feeds.mutex.Lock()
	defer l.server.feeds.mutex.Unlock()
	for _, f := range l.server.feeds.all {
		f.mutex.Lock()
		next := f.state
		next.next = make(chan struct{})
		next.items = slices.Clone(next.items)
		next.items[0].data, _ = json.Marshal(map[string]string{"name": "dev", "cluster": cluster})
		next.items[0].digest[0]++
		close(f.state.next)
		f.state = next
		f.mutex.Unlock()
	}
}

// TestManyWatchers holds that a thousand watchers and a thousand idle connections leave
// the server usable, and that all watchers learn of a change.
func TestManyWatchers(t *testing.T) {
	const watchers, idle = 1000, 1000
	l := newLive(t)
	l.repo.Push(files("alpha", "dev"))
	for range idle {
		conn, err := net.Dial("tcp", l.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	all := make([]*watching, watchers)
	for i := range all {
		all[i] = l.watch(fmt.Sprintf("reporter-%d", i/maxStreams), "")
	}
	for _, w := range all {
		w.want("ADDED dev")
	}
	started := time.Now()
	if reply := l.request("maintainer", "DELETE", environments+"/dev", ""); reply.Code != http.StatusOK {
		t.Fatal(reply.Body)
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("a write took %s", took)
	}
	for _, w := range all {
		w.want("DELETED dev")
	}
	l.server.feeds.mutex.Lock()
	defer l.server.feeds.mutex.Unlock()
	if len(l.server.feeds.all) != 1 {
		t.Errorf("%d feeds", len(l.server.feeds.all))
	}
}
