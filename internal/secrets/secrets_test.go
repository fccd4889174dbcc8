package secrets_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

const content = "tOp-SeCrEt"

// leaks returns the form in which a text holds the content, or an empty string.
func leaks(text string) string {
	var numbers, hexNumbers []string
	for _, b := range []byte(content) {
		numbers = append(numbers, fmt.Sprint(b))
		hexNumbers = append(hexNumbers, fmt.Sprintf("0x%x", b))
	}
	for form, secret := range map[string]string{
		"itself":       content,
		"base64":       base64.StdEncoding.EncodeToString([]byte(content)),
		"hexadecimal":  hex.EncodeToString([]byte(content)),
		"numbers":      strings.Join(numbers, " "),
		"JSON numbers": strings.Join(numbers, ","),
		"Go syntax":    strings.Join(hexNumbers, ", "),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			return form
		}
	}
	return ""
}

// holder has values in every place that printing can reach.
type holder struct {
	Public  secrets.Value
	Pointer *secrets.Value
	Map     map[string]secrets.Value
	List    []secrets.Value
	Any     any
	private secrets.Value
	inner   struct{ deep []secrets.Value }
}

func subjects() map[string]any {
	v := secrets.NewValue([]byte(content))
	h := holder{Public: v, Pointer: &v, Map: map[string]secrets.Value{"k": v}, List: []secrets.Value{v}, Any: v, private: v}
	h.inner.deep = []secrets.Value{v}
	return map[string]any{
		"value":   v,
		"pointer": &v,
		"holder":  h,
		"&holder": &h,
		"secret":  secrets.Secret{Fields: map[string]secrets.Value{"deploykey": v}, Version: "1"},
		"error":   fmt.Errorf("put %v: %w", v, errors.New(fmt.Sprint(h, &h))),
	}
}

func TestValueIsNeverPrinted(t *testing.T) {
	printers := map[string]func(any) string{
		"json": func(v any) string { b, err := json.Marshal(v); return fmt.Sprint(string(b), err) },
		"yaml": func(v any) string { b, err := yaml.Marshal(v); return fmt.Sprint(string(b), err) },
		"slog text": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
			return b.String()
		},
		"slog json": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
			return b.String()
		},
		"logr": func(v any) string {
			var b strings.Builder
			funcr.New(func(prefix, args string) { b.WriteString(prefix + args) }, funcr.Options{}).Info("m", "v", v)
			return b.String()
		},
		"zap": func(v any) string {
			var b bytes.Buffer
			core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&b), zap.DebugLevel)
			log := zap.New(core)
			log.Info("m", zap.Any("v", v), zap.Reflect("r", v))
			log.Sugar().Infof("%v %+v", v, v)
			return b.String()
		},
		"errors": func(v any) string { return errors.Join(fmt.Errorf("x: %v", v), fmt.Errorf("y: %+v", v)).Error() },
	}
	for verb := range strings.SplitSeq("v,+v,#v,s,q,+q,x,X,# x,d,o,O,b,c,U,t,e,E,f,F,g,G,T,p,10s,-10v,010d,z", ",") {
		printers["%"+verb] = func(v any) string { return fmt.Sprintf("%"+verb, v) }
	}
	for printer, print := range printers {
		for subject, v := range subjects() {
			if form := leaks(print(v)); form != "" {
				t.Errorf("%s of %s shows the content as %s: %s", printer, subject, form, print(v))
			}
		}
	}
	v := secrets.NewValue([]byte(content))
	for printer, want := range map[string]string{"%v": "***", "%s": "***", "%#v": "***", "%d": "***", "%x": "***", "json": `"***"<nil>`} {
		if got := printers[printer](v); got != want {
			t.Errorf("%s is %q, want %q", printer, got, want)
		}
	}
}

func TestLeaksFindsEveryForm(t *testing.T) {
	for _, text := range []string{
		"x" + content, fmt.Sprintf("%v", []byte(content)), fmt.Sprintf("%#v", []byte(content)),
		fmt.Sprintf("%x", content), fmt.Sprintf("%X", content), base64.StdEncoding.EncodeToString([]byte(content)),
	} {
		if leaks(text) == "" {
			t.Errorf("%q is not seen", text)
		}
	}
}

func TestValueKeepsItsContent(t *testing.T) {
	given := []byte(content)
	v := secrets.NewValue(given)
	given[0] = 'x'
	if string(v.Bytes()) != content {
		t.Errorf("content is %q: it changes with the caller's bytes", v.Bytes())
	}
	if !reflect.DeepEqual(v, secrets.NewValue([]byte(content))) || reflect.DeepEqual(v, secrets.NewValue(given)) {
		t.Error("equality does not follow the content")
	}
	if got := (secrets.Value{}).Bytes(); len(got) != 0 {
		t.Errorf("the zero value holds %q", got)
	}
}

func TestPaths(t *testing.T) {
	for name, test := range map[string]struct {
		got  secrets.Ref
		want string
	}{
		"read-only key":  {secrets.RepositoryReadOnly("gitlab", "repo-1"), "git/gitlab/repo-1/default/readonly"},
		"read-write key": {secrets.RepositoryReadWrite("gitlab", "repo-1"), "git/gitlab/repo-1/default/readwrite"},
		"kubeconfig":     {secrets.ClusterKubeconfig("c"), "cluster/kubernetes/c/default/admin"},
		"provider token": {secrets.ProviderToken("gitlab"), "tenant/git/gitlab/root"},
		"reviewer":       {secrets.ClusterReviewer("c"), "cluster/kubernetes/c/default/reviewer"},
		"any":            {plan.SecretRef{Engine: "a", Path: "b/c"}, "a/b/c"},
	} {
		if got := test.got.String(); got != test.want {
			t.Errorf("%s is %s, want %s", name, got, test.want)
		}
	}
	key := secrets.RepositoryReadOnly("gitlab", "repo-1")
	if got, want := secrets.PolicyName(key), "gitlab-repo-1-default-readonly"; got != want {
		t.Errorf("the policy of %s is %s, want %s", key, got, want)
	}
	if got, want := secrets.DataPath(key), "git/data/gitlab/repo-1/default/readonly"; got != want {
		t.Errorf("the API's path of %s is %s, want %s", key, got, want)
	}
}
