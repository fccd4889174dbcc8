package git

import (
	"strings"
	"testing"
)

// The messages are read by git as well, which must find the same value.
func TestConfirmsPrune(t *testing.T) {
	_, _, repo, _ := setUp(t)
	const line = "Nautes-Confirm-Prune: true"
	for name, test := range map[string]struct {
		message string
		want    bool
	}{
		"the last paragraph":              {"Remove all\n\n" + line, true},
		"after other text":                {"Remove all\n\nIt is over.\n\n" + line + "\n", true},
		"beside other trailers":           {"Remove all\n\nReviewed-by: Ada\n" + line + "\nRefs: 7", true},
		"another case of the key":         {"Remove all\n\nnautes-confirm-PRUNE: true", true},
		"blanks around the colon":         {"Remove all\n\nNautes-Confirm-Prune :   true  ", true},
		"carriage returns":                {"Remove all\r\n\r\n" + line + "\r\n", true},
		"beside text and a sign-off":      {"Remove all\n\nSome text\n" + line + "\nSigned-off-by: Ada <ada@example.com>", true},
		"twice":                           {"Remove all\n\n" + line + "\n" + line, true},
		"blank lines at the end":          {"Remove all\n\n" + line + "\n\n\n", true},
		"no message":                      {"", false},
		"only the subject":                {line, false},
		"in the first paragraph":          {"Remove all\n" + line, false},
		"before the last paragraph":       {"Remove all\n\n" + line + "\n\nThat is all.", false},
		"in the middle of text":           {"Remove all\n\nWrite\n" + line + "\nto confirm.", false},
		"quoted":                          {"Revert\n\n> " + line, false},
		"indented":                        {"Remove all\n\n    " + line, false},
		"another value":                   {"Remove all\n\nNautes-Confirm-Prune: false", false},
		"another case of the value":       {"Remove all\n\nNautes-Confirm-Prune: True", false},
		"a longer value":                  {"Remove all\n\nNautes-Confirm-Prune: true, all of it", false},
		"a value that goes on":            {"Remove all\n\n" + line + "\n  but not now", false},
		"no value":                        {"Remove all\n\nNautes-Confirm-Prune:", false},
		"no colon":                        {"Remove all\n\nNautes-Confirm-Prune true", false},
		"another key":                     {"Remove all\n\nNautes-Confirm-Prunes: true", false},
		"a key that ends in it":           {"Remove all\n\nX-Nautes-Confirm-Prune: true", false},
		"confirmed and not":               {"Remove all\n\n" + line + "\nNautes-Confirm-Prune: false", false},
		"too much text for a sign-off":    {"Remove all\n\na\nb\nc\nd\ne\nf\ng\n" + line + "\nSigned-off-by: Ada <ada@example.com>", false},
		"continued text is no trailer":    {"Remove all\n\nSome text\n  goes on\n" + line, false},
		"a continued trailer before":      {"Remove all\n\nRefs: 7\n  8\n" + line, true},
		"a key with a blank in it":        {"Remove all\n\nNautes Confirm-Prune: true", false},
		"a commit that was cherry-picked": {"Remove all\n\n" + line + "\n(cherry picked from commit 0123456789)", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := confirmsPrune(test.message); got != test.want {
				t.Errorf("confirmsPrune(%q) = %v, want %v", test.message, got, test.want)
			}
			tree := strings.TrimSpace(repo.GitWith("", "mktree"))
			hash := strings.TrimSpace(repo.GitWith(test.message, "commit-tree", tree))
			values := strings.TrimSpace(repo.Git("log", "-1", "--format=%(trailers:key=Nautes-Confirm-Prune,valueonly,unfold)", hash))
			git := values != ""
			for value := range strings.Lines(values) {
				git = git && strings.TrimSpace(value) == "true"
			}
			if git != test.want {
				t.Errorf("git finds %q, and the test wants %v", values, test.want)
			}
		})
	}
}

func FuzzConfirmsPrune(f *testing.F) {
	f.Add("a\n\nNautes-Confirm-Prune: true")
	f.Add("a\n\n#\n  b\nNautes-Confirm-Prune:\n true\n\n")
	f.Fuzz(func(t *testing.T, message string) {
		if confirmsPrune(message) && !strings.Contains(strings.ToLower(message), "nautes-confirm-prune") {
			t.Errorf("%q confirms", message)
		}
	})
}
