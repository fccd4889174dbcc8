package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
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
