package observed

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Argo CD's error about a repository with SHA-256 objects does not name the cause.
func TestSHA256IsNamed(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{
		"sync": map[string]any{"status": "Unknown"},
		"conditions": []any{map[string]any{
			"type": "ComparisonError", "lastTransitionTime": "2026-02-01T20:47:40Z",
			"message": "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = failed to list refs: " +
				"pkt-line 3: no space after hash (af942fca86ba HEAD multi_ack symref=HEAD:refs/heads/main object-format=sha256 agent=git/2.39.5)",
		}},
	}}}
	if got := ApplicationOf(u); !strings.Contains(got.Message, "use one with SHA-1 for manifests") || got.Cause != CauseError {
		t.Errorf("the message is %q, the cause %v", got.Message, got.Cause)
	}
}
