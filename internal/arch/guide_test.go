package arch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/forge/gitlab"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
)

// The recipes in docs/operate.md match the code.
func TestGuideRecipes(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	guide := string(content)

	shown := regexp.MustCompile("# secret/(nautes-[a-z0-9-]+) ").FindStringSubmatch(guide)
	if shown == nil {
		t.Fatal("docs/operate.md shows no name of a stored secret")
	}
	want := secrets.ClusterKubeconfig("worker-1")
	stored := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name:        shown[1],
		Labels:      map[string]string{"app.kubernetes.io/managed-by": "nautes", "nautes.io/secret-engine": want.Engine},
		Annotations: map[string]string{"nautes.io/secret-path": want.Path},
	}}
	if got, ok := kube.RefOf(stored); !ok || got != want {
		t.Errorf("the store does not find the Secret %s of docs/operate.md at %s", shown[1], want)
	}

	const message = "nautes.io/push-hook/v1\n"
	if recipe := strings.ReplaceAll(message, "\n", `\n`) + "%s' product/product-42"; !strings.Contains(guide, recipe) {
		t.Errorf("docs/operate.md does not show the recipe %q", recipe)
	}
	key := []byte("a key")
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message + "product/product-42"))
	token := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	if got := receiver.Token(key, receiver.ProductPrefix+"product-42"); got != token {
		t.Errorf("the token is %s, the recipe in docs/operate.md gives %s", got, token)
	}

	const signing = "nautes webhook signing key"
	if recipe := `"whsec_$(printf '` + signing + `' | openssl dgst -sha256 -hmac "$token" -binary | base64)"`; !strings.Contains(guide, recipe) {
		t.Errorf("docs/operate.md does not show the recipe %q", recipe)
	}
	mac = hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(signing))
	if got, want := gitlab.SigningToken([]byte(token)), "whsec_"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("the signing token is %s, the recipe in docs/operate.md gives %s", got, want)
	}
}
