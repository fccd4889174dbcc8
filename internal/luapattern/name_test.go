package luapattern

import "testing"

func TestName(t *testing.T) {
	for pattern, want := range map[string]string{
		"refs/heads/main": "refs/heads/main", "^refs/heads/main$": "refs/heads/main", "^refs/heads/main": "refs/heads/main", "refs/heads/main$": "refs/heads/main",
		"main": "main", "^main$": "main", "heads/main": "refs/heads/main", "/heads/main": "refs/heads/main", "tags/v1": "refs/tags/v1",
		"^refs/tags/v1%.0$": "refs/tags/v1.0", "refs/tags/v1.0": "refs/tags/v1.0", "^refs/heads/feature%-1$": "refs/heads/feature-1",
		"refs/heads/release-1.0": "refs/heads/release-1.0", "refs/heads/größe": "refs/heads/größe", "a%%b": "a%b",
		"": "", "^": "", "$": "", "^refs/heads/": "", "refs/heads/.*": "", "^refs/heads/feature%-": "", "refs/heads/v%d+": "", "main|dev": "main|dev",
		"refs/heads/[md]ain": "", "refs/heads/mai.": "", "(main)": "", "main-": "", "%": "", "refs/heads/a*": "", "refs/heads/a?": "", "/main": "", "main%$": "",
	} {
		if got := Name(pattern); got != want {
			t.Errorf("Name(%q) = %q, want %q", pattern, got, want)
		}
	}
}
