package devstack

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	auditedFirst  = `{"verb":"create","requestURI":"/api/v1/namespaces/a/pods?dryRun=All","objectRef":{"resource":"pods","namespace":"a","name":"first"}}` + "\n"
	auditedSecond = `{"verb":"patch","requestURI":"/apis/x/v1/namespaces/a/things/second/status?fieldManager=nautes-status","user":{"username":"u"},"userAgent":"g/1",` +
		`"objectRef":{"apiGroup":"x","resource":"things","subresource":"status","namespace":"a","name":"second"},"responseStatus":{"code":409}}` + "\n"
)

func TestRequestsSinceAMark(t *testing.T) {
	first := Request{Verb: "create", Resource: "pods", Namespace: "a", Name: "first", DryRun: true}
	second := Request{
		Verb: "patch", Group: "x", Resource: "things", Subresource: "status", Namespace: "a", Name: "second",
		User: "u", UserAgent: "g/1", FieldManager: "nautes-status", Code: 409,
	}
	tests := map[string]struct {
		log  string
		mark int
		want []Request
	}{
		"no log":                  {},
		"from the beginning":      {log: auditedFirst + auditedSecond, want: []Request{first, second}},
		"between two lines":       {log: auditedFirst + auditedSecond, mark: len(auditedFirst), want: []Request{second}},
		"within a line":           {log: auditedFirst + auditedSecond, mark: 9, want: []Request{second}},
		"at the end":              {log: auditedFirst + auditedSecond, mark: len(auditedFirst + auditedSecond)},
		"a line that is not done": {log: auditedFirst + auditedSecond[:40], want: []Request{first}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plane := &ControlPlane{Name: "a", dir: t.TempDir()}
			if test.log != "" {
				if err := os.WriteFile(plane.file(auditLog), []byte(test.log), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := plane.Requests(Mark{audited: int64(test.mark)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestsOfABrokenLog(t *testing.T) {
	plane := &ControlPlane{Name: "a", dir: t.TempDir()}
	if err := os.WriteFile(plane.file(auditLog), []byte("{not JSON\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := plane.Requests(Mark{}); err == nil {
		t.Error("Requests: no error, as if nothing had been written")
	}
}
