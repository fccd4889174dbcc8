package receiver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/gitlab"
)

var key = []byte("0123456789abcdef0123456789abcdef")

const push = `{"object_kind":"push","event_name":"push","ref":"refs/heads/main","before":"95790bf8","after":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","project":{"id":15}}`

// recorder is a handler that records its notifications and results.
type recorder struct {
	Handler
	mu       sync.Mutex
	notified []string
	pushes   []forge.Push
	results  []string
}

func newRecorder() *recorder {
	r := &recorder{}
	r.Key = func(context.Context) ([]byte, error) { return key, nil }
	r.Notify = func(source string, pushed forge.Push) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.notified = append(r.notified, source)
		r.pushes = append(r.pushes, pushed)
	}
	r.Observe = func(result string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.results = append(r.results, result)
	}
	return r
}

// request returns a valid push of product-1.
func request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, ProductsPath+"product-1", strings.NewReader(push))
	r.Header.Set("X-Gitlab-Token", Token(key, "product/product-1"))
	r.Header.Set("X-Gitlab-Event", "Push Hook")
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestToken(t *testing.T) {
	// printf 'nautes.io/push-hook/v1\nproduct/product-1' | openssl dgst -sha256 -hmac "$key" -binary | basenc --base64url
	if got, want := Token(key, "product/product-1"), "F63iLEoJSYrkVjfJ2YQXyHFRUGmCHCzcyfa4EsdA98w"; got != want {
		t.Errorf("Token = %s, want %s", got, want)
	}
	seen := map[string]string{}
	for _, source := range []string{"tenant", "product/tenant", "product/product-1", "product/product-2"} {
		for name, key := range map[string][]byte{"key": key, "other key": []byte("another key of enough bytes")} {
			token := Token(key, source)
			if other, there := seen[token]; there {
				t.Errorf("%s with %s has the token of %s", source, name, other)
			}
			seen[token] = source
		}
	}
}

// at is the time of the signed deliveries.
var at = time.Unix(1_790_000_000, 0)

// sign makes a request a delivery of GitLab 19 with a token.
func sign(r *http.Request, token, id, sent, content string) {
	r.Header.Del("X-Gitlab-Token")
	mac := hmac.New(sha256.New, gitlab.SigningKey([]byte(token)))
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, sent, content)
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", sent)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	r.Body = io.NopCloser(strings.NewReader(content))
}

func TestHandler(t *testing.T) {
	body := func(content string) func(*http.Request) {
		return func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(content)) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	event := func(kind, content string) func(*http.Request) {
		return func(r *http.Request) { header("X-Gitlab-Event", kind)(r); body(content)(r) }
	}
	path := func(path string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = path } }
	// signed makes a delivery of Gitea, with the token of a source.
	signed := func(token, content string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("X-Gitlab-Token")
			mac := hmac.New(sha256.New, []byte(token))
			mac.Write([]byte(push))
			header("X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil)))(r)
			header("X-Gitea-Event", "push")(r)
			body(content)(r)
		}
	}
	// fresh makes a delivery of GitLab 19 for the source of the request, and then changes it.
	fresh := func(after time.Duration, then ...func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			sign(r, Token(key, "product/product-1"), "id-1", strconv.FormatInt(at.Add(after).Unix(), 10), push)
			for _, change := range then {
				change(r)
			}
		}
	}
	without := func(name string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(name) } }
	twice := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, r.Header.Get(name)) }
	}
	zeros := strings.Repeat("0", 40)
	tests := map[string]struct {
		change       func(*http.Request)
		key          func(context.Context) ([]byte, error)
		wantStatus   int
		wantResult   string
		wantNotified []string
		// wantDetail is a part of the problem's detail.
		wantDetail string
	}{
		"push":                {wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"tag push":            {change: header("X-Gitlab-Event", "Tag Push Hook"), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"system hook push":    {change: header("X-Gitlab-Event", "System Hook"), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"system hook tag":     {change: event("System Hook", `{"event_name":"tag_push"}`), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"charset":             {change: header("Content-Type", "application/json; charset=utf-8"), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"other branch":        {change: body(strings.ReplaceAll(push, "main", "x")), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"empty object":        {change: body("{}"), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"tenant":              {change: func(r *http.Request) { path(TenantPath)(r); header("X-Gitlab-Token", Token(key, Tenant))(r) }, wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"tenant"}},
		"branch deleted":      {change: body(`{"after":"` + zeros + `"}`), wantStatus: 202, wantResult: ResultIgnored},
		"deleted, SHA-256":    {change: body(`{"after":"` + strings.Repeat("0", 64) + `"}`), wantStatus: 202, wantResult: ResultIgnored},
		"other event":         {change: header("X-Gitlab-Event", "Issue Hook"), wantStatus: 202, wantResult: ResultIgnored},
		"no event":            {change: func(r *http.Request) { r.Header.Del("X-Gitlab-Event") }, wantStatus: 202, wantResult: ResultIgnored},
		"other system event":  {change: event("System Hook", `{"event_name":"project_create"}`), wantStatus: 202, wantResult: ResultIgnored},
		"no JSON":             {change: body("push"), wantStatus: 400, wantResult: ResultInvalid},
		"empty body":          {change: body(""), wantStatus: 400, wantResult: ResultInvalid},
		"list":                {change: body("[]"), wantStatus: 400, wantResult: ResultInvalid},
		"two documents":       {change: body(push + push), wantStatus: 400, wantResult: ResultInvalid},
		"number as hash":      {change: body(`{"after":1}`), wantStatus: 400, wantResult: ResultInvalid},
		"very deep":           {change: body(strings.Repeat("[", 500_000)), wantStatus: 400, wantResult: ResultInvalid},
		"no token":            {change: func(r *http.Request) { r.Header.Del("X-Gitlab-Token") }, wantStatus: 401, wantResult: ResultUnauthorized},
		"empty token":         {change: header("X-Gitlab-Token", ""), wantStatus: 401, wantResult: ResultUnauthorized},
		"wrong token":         {change: header("X-Gitlab-Token", "wrong"), wantStatus: 401, wantResult: ResultUnauthorized},
		"two tokens":          {change: func(r *http.Request) { r.Header.Add("X-Gitlab-Token", "x") }, wantStatus: 401, wantResult: ResultUnauthorized},
		"token of another":    {change: path(ProductsPath + "product-2"), wantStatus: 401, wantResult: ResultUnauthorized},
		"token for tenant":    {change: path(TenantPath), wantStatus: 401, wantResult: ResultUnauthorized},
		"key as token":        {change: header("X-Gitlab-Token", string(key)), wantStatus: 401, wantResult: ResultUnauthorized},
		"unknown path":        {change: path("/"), wantStatus: 404, wantResult: ResultNotFound},
		"no product":          {change: path(ProductsPath), wantStatus: 404, wantResult: ResultNotFound},
		"below a product":     {change: path(ProductsPath + "product-1/x"), wantStatus: 404, wantResult: ResultNotFound},
		"a repository":        {change: path(ProductsPath + "product-1/repositories/repo-7"), wantStatus: 401, wantResult: ResultUnauthorized},
		"no repository":       {change: path(ProductsPath + "product-1/repositories/"), wantStatus: 404, wantResult: ResultNotFound},
		"below a repository":  {change: path(ProductsPath + "product-1/repositories/repo-7/x"), wantStatus: 404, wantResult: ResultNotFound},
		"nested repositories": {change: path(ProductsPath + "product-1/repositories/repositories/x"), wantStatus: 404, wantResult: ResultNotFound},
		"below the tenant":    {change: path(TenantPath + "/"), wantStatus: 404, wantResult: ResultNotFound},
		"GET":                 {change: func(r *http.Request) { r.Method = http.MethodGet }, wantStatus: 405, wantResult: ResultMethod},
		"too large":           {change: body(`{"a":"` + strings.Repeat("x", MaxBody) + `"}`), wantStatus: 413, wantResult: ResultTooLarge},
		"form":                {change: header("Content-Type", "application/x-www-form-urlencoded"), wantStatus: 415, wantResult: ResultMediaType},
		"malformed type":      {change: header("Content-Type", "application/json; ="), wantStatus: 415, wantResult: ResultMediaType},
		"body that breaks":    {change: func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(errors.New("gone"))) }, wantStatus: 400, wantResult: ResultInvalid, wantDetail: "ended early"},
		"no type":             {change: func(r *http.Request) { r.Header.Del("Content-Type") }, wantStatus: 415, wantResult: ResultMediaType},
		"Gitea":               {change: signed(Token(key, "product/product-1"), push), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"Gitea, another body": {change: signed(Token(key, "product/product-1"), push+" "), wantStatus: 401, wantResult: ResultUnauthorized},
		"Gitea, of another":   {change: signed(Token(key, "product/product-2"), push), wantStatus: 401, wantResult: ResultUnauthorized},
		"Gitea, no token":     {change: signed("", push), wantStatus: 401, wantResult: ResultUnauthorized},
		"Gitea, an issue": {change: func(r *http.Request) {
			signed(Token(key, "product/product-1"), push)(r)
			header("X-Gitea-Event", "issues")(r)
		}, wantStatus: 202, wantResult: ResultIgnored},
		"signed":                      {change: fresh(0), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"signed, and the token":       {change: fresh(0, header("X-Gitlab-Token", Token(key, "product/product-1"))), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"signed, and a wrong token":   {change: fresh(0, header("X-Gitlab-Token", "old")), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"wrongly, and the token":      {change: fresh(0, header("X-Gitlab-Token", Token(key, "product/product-1")), header("Webhook-Signature", "v1,YQ==")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, another body":        {change: fresh(0, body(push+" ")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, another id":          {change: fresh(0, header("Webhook-Id", "id-2")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, another time":        {change: fresh(0, header("Webhook-Timestamp", "1790000001")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, for another":         {change: fresh(0, path(ProductsPath+"product-2")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, no id":               {change: fresh(0, without("Webhook-Id")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, empty id":            {change: func(r *http.Request) { sign(r, Token(key, "product/product-1"), "", "1790000000", push) }, wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, no time":             {change: fresh(0, without("Webhook-Timestamp")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, no signature":        {change: fresh(0, without("Webhook-Signature")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, two ids":             {change: fresh(0, twice("Webhook-Id")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, two times":           {change: fresh(0, twice("Webhook-Timestamp")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, two signatures":      {change: fresh(0, twice("Webhook-Signature")), wantStatus: 401, wantResult: ResultUnauthorized},
		"signed, oldest":              {change: fresh(-Tolerance), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"signed, too old":             {change: fresh(-Tolerance - time.Second), wantStatus: 401, wantResult: ResultStale, wantDetail: "check the clocks"},
		"signed, newest":              {change: fresh(Tolerance), wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"signed, of the future":       {change: fresh(Tolerance + time.Second), wantStatus: 401, wantResult: ResultStale},
		"signed, time of a date":      {change: fresh(0, header("Webhook-Timestamp", "2026-09-21T14:13:20Z")), wantStatus: 401, wantResult: ResultStale},
		"signed, time that overflows": {change: fresh(0, header("Webhook-Timestamp", "18446744073709551615")), wantStatus: 401, wantResult: ResultStale},
		"signed, an issue":            {change: fresh(0, header("X-Gitlab-Event", "Issue Hook")), wantStatus: 202, wantResult: ResultIgnored},
		"no key":                      {key: func(context.Context) ([]byte, error) { return nil, nil }, wantStatus: 503, wantResult: ResultUnavailable},
		"shortest key":                {change: header("X-Gitlab-Token", Token(key[:16], "product/product-1")), key: func(context.Context) ([]byte, error) { return key[:16], nil }, wantStatus: 200, wantResult: ResultAccepted, wantNotified: []string{"product/product-1"}},
		"short key":                   {change: header("X-Gitlab-Token", Token(key[:15], "product/product-1")), key: func(context.Context) ([]byte, error) { return key[:15], nil }, wantStatus: 503, wantResult: ResultUnavailable},
		"key not readable":            {key: func(context.Context) ([]byte, error) { return key, errors.New("store-is-down") }, wantStatus: 503, wantResult: ResultUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, r, w := newRecorder(), request(), httptest.NewRecorder()
			h.Now = func() time.Time { return at }
			if tt.change != nil {
				tt.change(r)
			}
			if tt.key != nil {
				h.Key = tt.key
			}
			h.ServeHTTP(w, r)
			if len(h.pushes) == 1 && h.pushes[0].Commit == "" && tt.change == nil {
				t.Error("the announced commit is not passed on")
			}
			if w.Code != tt.wantStatus || !slices.Equal(h.notified, tt.wantNotified) || !slices.Equal(h.results, []string{tt.wantResult}) {
				t.Errorf("%d, notified %v, results %v; want %d, %v, %s", w.Code, h.notified, h.results, tt.wantStatus, tt.wantNotified, tt.wantResult)
			}
			checkAnswer(t, w)
			if !strings.Contains(w.Body.String(), tt.wantDetail) {
				t.Errorf("answer %s, want %q in it", w.Body, tt.wantDetail)
			}
		})
	}
}

// checkAnswer checks the properties that every answer has.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var answer struct {
		Result, Title, Detail string
		Status                int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("the answer is not JSON: %s", w.Body)
	}
	if got := []string{w.Header().Get("Cache-Control"), w.Header().Get("X-Content-Type-Options")}; !slices.Equal(got, []string{"no-store", "nosniff"}) {
		t.Errorf("Cache-Control and X-Content-Type-Options are %q", got)
	}
	if w.Code < 300 {
		if answer.Result == "" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("answer %s, %v", w.Body, w.Header())
		}
		return
	}
	if answer.Status != w.Code || answer.Title == "" || answer.Detail == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("problem %s, %v", w.Body, w.Header())
	}
	if (w.Code == 405) != (w.Header().Get("Allow") == "POST") || (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
		t.Errorf("headers of %d: %v", w.Code, w.Header())
	}
	if strings.Contains(w.Body.String(), "store-is-down") {
		t.Errorf("the problem shows an internal error: %s", w.Body)
	}
}

func TestUnknownProductAnswersLikeWrongToken(t *testing.T) {
	answers := map[string]*httptest.ResponseRecorder{}
	for name, path := range map[string]string{
		"wrong token": "product-1", "unknown": "product-99999", "no product": "x", "odd": "..%00\n", "long": strings.Repeat("x", 5000),
	} {
		h, r, w := newRecorder(), request(), httptest.NewRecorder()
		r.URL.Path = ProductsPath + path
		r.Header.Set("X-Gitlab-Token", Token(key, "product/product-2"))
		h.ServeHTTP(w, r)
		answers[name] = w
	}
	want := answers["wrong token"]
	if want.Code != http.StatusUnauthorized {
		t.Fatalf("a wrong token answers %d", want.Code)
	}
	for name, got := range answers {
		if diff := cmp.Diff([]any{want.Code, want.Header(), want.Body.String()}, []any{got.Code, got.Header(), got.Body.String()}); diff != "" {
			t.Errorf("%s (-wrong token +got):\n%s", name, diff)
		}
	}
}

func TestInFlightIsBounded(t *testing.T) {
	h := newRecorder()
	h.InFlight = 2
	inside, leave := make(chan struct{}), make(chan struct{})
	notify := h.Notify
	h.Notify = func(source string, pushed forge.Push) {
		inside <- struct{}{}
		<-leave
		notify(source, pushed)
	}
	codes := make(chan int, 2)
	for range 2 {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request())
			codes <- w.Code
		}()
		<-inside
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request())
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("the third request answers %d, want 503", w.Code)
	}
	checkAnswer(t, w)
	close(leave)
	for range 2 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("an admitted request answers %d, want 200", code)
		}
	}
	go func() { <-inside }()
	w = httptest.NewRecorder()
	h.ServeHTTP(w, request())
	if w.Code != http.StatusOK {
		t.Errorf("a request afterwards answers %d, want 200", w.Code)
	}
	if diff := cmp.Diff([]string{ResultBusy, ResultAccepted, ResultAccepted, ResultAccepted}, h.results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestServer(t *testing.T) {
	var logged bytes.Buffer
	h := newRecorder()
	server := NewServer("127.0.0.1:0", &h.Handler)
	server.ErrorLog = log.New(&logged, "", 0)
	limits := []any{server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout, server.IdleTimeout, server.MaxHeaderBytes}
	if diff := cmp.Diff([]any{5 * time.Second, 10 * time.Second, 10 * time.Second, time.Minute, 16 << 10}, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	listener, err := net.Listen("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	send := func(token string, body io.Reader) *http.Response {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "http://"+listener.Addr().String()+ProductsPath+"product-1", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Gitlab-Token", token)
		r.Header.Set("X-Gitlab-Event", "Push Hook")
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer
	}
	if got := send(Token(key, "product/product-1"), strings.NewReader(push)).StatusCode; got != http.StatusOK {
		t.Errorf("a push answers %d, want 200", got)
	}
	// A request without the token is answered although its body never ends.
	endless, writer := io.Pipe()
	go func() { _, _ = fmt.Fprint(writer, "{") }()
	if got := send("wrong-"+Token(key, "x"), endless).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("an endless body without a token answers %d, want 401", got)
	}
	_ = endless.Close()
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if logged.Len() > 0 {
		t.Errorf("the server logged: %s", &logged)
	}
}

func FuzzBody(f *testing.F) {
	f.Add("Push Hook", []byte(push))
	f.Add("System Hook", []byte(`{"event_name":"push","after":"0000"}`))
	f.Add("Tag Push Hook", []byte(`{"after":"`+strings.Repeat("0", 40)+`"}`))
	f.Add("", []byte(`[{"after":null}]`))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		h, r, w := newRecorder(), request(), httptest.NewRecorder()
		r.Header.Set("X-Gitlab-Event", event)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
		want := map[string]int{ResultAccepted: 200, ResultIgnored: 202, ResultInvalid: 400, ResultTooLarge: 413}
		if len(h.results) != 1 || want[h.results[0]] != w.Code {
			t.Fatalf("%d with results %v", w.Code, h.results)
		}
		if (w.Code == 200) != (len(h.notified) == 1) {
			t.Errorf("%d with notifications %v", w.Code, h.notified)
		}
		if w.Code == 200 && (!json.Valid(body) || !strings.Contains(event, "Hook")) {
			t.Errorf("%q with %q was accepted", event, body)
		}
		checkAnswer(t, w)
	})
}

func TestSplit(t *testing.T) {
	source, path := RepositoryOf("product-1", "repo-7")
	if at, found := sourceOf(path); !found || at != source {
		t.Errorf("the source of %s is %q, want %q", path, at, source)
	}
	for source, want := range map[string][2]string{
		source: {"product-1", "repo-7"}, ProductPrefix + "product-1": {"product-1", ""}, Tenant: {"", ""},
	} {
		if product, repository := Split(source); product != want[0] || repository != want[1] {
			t.Errorf("Split(%s) = %q, %q", source, product, repository)
		}
	}
}
