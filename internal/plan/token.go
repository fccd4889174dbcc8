package plan

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// WebhookToken returns the token of the hook that a subject identifies, as
// FormatWebhookToken says, made with the tenant's key.
func WebhookToken(key []byte, subject string) []byte {
	mac := hmac.New(sha256.New, key)
	// Writing to a hash never fails.
	_, _ = mac.Write([]byte(subject))
	return hex.AppendEncode(nil, mac.Sum(nil))
}
