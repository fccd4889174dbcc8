package kubeconfig

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestArgoCDCluster(t *testing.T) {
	certificate, key := keyPair(t)
	b64 := base64.StdEncoding.EncodeToString
	ca := "\ncertificate-authority-data: " + b64(certificate)
	tests := map[string]struct {
		give string
		want map[string]any
	}{
		"token": {
			give: kubeconfigWith(goodServer+ca, goodUser),
			want: map[string]any{"bearerToken": secretToken, "tlsClientConfig": map[string]any{"insecure": false, "caData": b64(certificate)}},
		},
		"client certificate": {
			give: kubeconfigWith(goodServer+ca, "client-certificate-data: "+b64(certificate)+"\nclient-key-data: "+b64(key)),
			want: map[string]any{"tlsClientConfig": map[string]any{
				"insecure": false, "caData": b64(certificate), "certData": b64(certificate), "keyData": b64(key),
			}},
		},
		"a public authority": {
			give: kubeconfigWith(goodServer, goodUser),
			want: map[string]any{"bearerToken": secretToken, "tlsClientConfig": map[string]any{"insecure": false}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := ArgoCDCluster([]byte(test.give))
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCA(t *testing.T) {
	certificate, _ := keyPair(t)
	got, err := CA([]byte(kubeconfigWith(goodServer+"\ncertificate-authority-data: "+base64.StdEncoding.EncodeToString(certificate), goodUser)))
	if err != nil || string(got) != string(certificate) {
		t.Errorf("CA: %s, %v", got, err)
	}
	var refused *Error
	if _, err := CA([]byte(kubeconfigWith(goodServer, goodUser))); !errors.As(err, &refused) || !strings.HasSuffix(refused.Field, "certificate-authority-data") {
		t.Errorf("without an authority: %v", err)
	}
}

func TestRewrite(t *testing.T) {
	certificate, key := keyPair(t)
	b64 := base64.StdEncoding.EncodeToString
	give := strings.Replace(kubeconfigWith("server: https://localhost:8443\ncertificate-authority-data: "+b64(certificate),
		"client-certificate-data: "+b64(certificate)+"\nclient-key-data: "+b64(key)),
		"users:\n", "users:\n- name: other\n  user:\n    token: other-token\n", 1)
	out, err := Rewrite([]byte(give), "https://10.0.0.1:30443")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.UnmarshalStrict(out, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "cluster",
		"clusters": []any{map[string]any{"name": "cluster", "cluster": map[string]any{
			"server": "https://10.0.0.1:30443", "certificate-authority-data": b64(certificate),
		}}},
		"users": []any{map[string]any{"name": "cluster", "user": map[string]any{
			"client-certificate-data": b64(certificate), "client-key-data": b64(key),
		}}},
		"contexts": []any{map[string]any{"name": "cluster", "context": map[string]any{"cluster": "cluster", "user": "cluster"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, err := Rewrite(out, "https://10.0.0.1:30443")
	if err != nil || string(again) != string(out) {
		t.Errorf("rewriting it again changes it: %v\n%s", err, again)
	}
	token, err := Rewrite([]byte(kubeconfigWith(goodServer, goodUser)), "https://h")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse(token)
	if err != nil || cfg.BearerToken != secretToken || cfg.Host != "https://h" || cfg.CAData != nil {
		t.Errorf("with a token: %v, %v", cfg, err)
	}
}

func TestRewriteRefuses(t *testing.T) {
	good := kubeconfigWith(goodServer, goodUser)
	for name, test := range map[string]struct{ kubeconfig, server, wantField string }{
		"plain HTTP":         {kubeconfig: good, server: "http://h", wantField: "spec.apiServer"},
		"no host":            {kubeconfig: good, server: "https://", wantField: "spec.apiServer"},
		"no server":          {kubeconfig: good, wantField: "spec.apiServer"},
		"a credential in it": {kubeconfig: good, server: "https://a:" + secretToken + "@h", wantField: "spec.apiServer"},
		"not parsable":       {kubeconfig: good, server: "https://h:" + secretToken, wantField: "spec.apiServer"},
		"a plugin":           {kubeconfig: kubeconfigWith(goodServer, "exec: {}"), server: "https://h", wantField: "users[].user.exec"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Rewrite([]byte(test.kubeconfig), test.server)
			var refused *Error
			if !errors.As(err, &refused) || refused.Field != test.wantField {
				t.Fatalf("error is %v, want a *Error about %s", err, test.wantField)
			}
			if !strings.Contains(err.Error(), test.wantField) || strings.Contains(err.Error(), secretToken) {
				t.Errorf("message is %q", err)
			}
		})
	}
	for name, format := range map[string]func([]byte) ([]byte, error){"ArgoCDCluster": ArgoCDCluster, "CA": CA} {
		var refused *Error
		if out, err := format([]byte(kubeconfigWith(goodServer, "exec: {}"))); !errors.As(err, &refused) || out != nil {
			t.Errorf("%s: %s, %v", name, out, err)
		}
	}
}
