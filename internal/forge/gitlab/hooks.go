package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"nautes.io/nautes/internal/forge"
)

// HookEvents returns the names of the events that hooks of projects can send.
// https://docs.gitlab.com/api/project_webhooks/
func HookEvents() []string {
	return []string{
		"confidential_issues_events", "confidential_note_events", "deployment_events", "emoji_events", "feature_flag_events", "issues_events",
		"job_events", "merge_requests_events", "milestone_events", "note_events", "pipeline_events", "push_events", "releases_events",
		"resource_access_token_events", "resource_deploy_token_events", "tag_push_events", "vulnerability_events", "wiki_page_events",
	}
}

// SigningKey returns the key with which GitLab 19 signs the deliveries of a hook, made
// from the secret of the hook. It has 32 bytes, and does not disclose the secret.
func SigningKey(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte("nautes webhook signing key"))
	return mac.Sum(nil)
}

// SigningToken returns the signing key as GitLab takes it.
func SigningToken(secret []byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(SigningKey(secret))
}

// proofs returns the two ways of GitLab. From 19.0 on it signs as Standard Webhooks
// describes; before, and for hooks without a signing token, it sends the token as it is.
// https://www.standardwebhooks.com, https://docs.gitlab.com/user/project/integrations/webhooks/
func proofs() []forge.Proof {
	return []forge.Proof{
		{Header: "Webhook-Signature", IDHeader: "Webhook-Id", TimeHeader: "Webhook-Timestamp", Signed: true, Proves: signed},
		{Header: "X-Gitlab-Token", IDHeader: "Idempotency-Key", Proves: sent},
	}
}

// sent compares the token.
func sent(d forge.Delivery, token string) bool { return hmac.Equal([]byte(d.Proof), []byte(token)) }

// signed looks for the signature of a delivery in a list, which has several while a key
// is replaced. Other versions of signatures are skipped.
func signed(d forge.Delivery, token string) bool {
	mac := hmac.New(sha256.New, SigningKey([]byte(token)))
	_, _ = mac.Write([]byte(d.ID + "." + d.Time + "."))
	_, _ = mac.Write(d.Body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	proves := false
	for one := range strings.SplitSeq(d.Proof, " ") {
		proves = hmac.Equal([]byte(one), want) || proves
	}
	return proves
}
