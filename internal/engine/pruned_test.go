package engine

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// recorded is an event recorder that keeps the last event.
type recorded struct {
	sent    int
	related runtime.Object
	text    string
}

func (r *recorded) Eventf(_, related runtime.Object, eventType, reason, action, note string, args ...any) {
	r.sent++
	r.related = related
	r.text = fmt.Sprintf("%s %s %s: ", eventType, reason, action) + fmt.Sprintf(note, args...)
}

func TestAnnouncePrune(t *testing.T) {
	now := metav1.Now()
	space := plan.Set{Owner: plan.Owner{Kind: "Space", Product: "p", Name: "p"}, Target: plan.Cluster("c")}
	namespace := plan.ID{Kind: "Namespace", Name: "app"}
	account := plan.ID{Kind: "ServiceAccount", Namespace: "app", Name: "a"}
	var many []plan.ID
	for range 100 {
		many = append(many, plan.ID{Group: "g", Kind: "Kind", Namespace: "namespace", Name: "name"})
	}
	long := plan.ID{Kind: "Kind", Name: strings.Repeat("n", 600)}
	for name, test := range map[string]struct {
		deleted  []plan.ID
		commit   plan.Commit
		deleting bool
		want     string
	}{
		"nothing": {},
		"one": {
			deleted: []plan.ID{namespace}, commit: plan.Commit{Revision: "1a2b", Author: "Ada <ada@x>"},
			want: "Normal Pruned Prune: deleted 1 object on Cluster c that Space p no longer asks for (revision 1a2b by Ada <ada@x>): Namespace app",
		},
		"two, of an unknown commit": {
			deleted: []plan.ID{account, namespace},
			want:    "Normal Pruned Prune: deleted 2 objects on Cluster c that Space p no longer asks for: ServiceAccount app/a, Namespace app",
		},
		"of an owner that is being deleted": {
			deleted: []plan.ID{namespace}, deleting: true,
			want: "Normal Pruned Prune: deleted 1 object on Cluster c of Space p, which is being deleted: Namespace app",
		},
		"many": {
			deleted: many,
			want: "Normal Pruned Prune: deleted 100 objects on Cluster c that Space p no longer asks for: " +
				strings.Repeat("Kind.g namespace/name, ", 20) + "Kind.g namespace/name and 79 more",
		},
		"a long name": {
			deleted: []plan.ID{long, namespace},
			want:    "Normal Pruned Prune: deleted 2 objects on Cluster c that Space p no longer asks for: " + long.String() + " and 1 more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			owner := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
			if test.deleting {
				owner.DeletionTimestamp = &now
			}
			r := &recorded{}
			AnnouncePrune(r, owner, space, test.deleted, test.commit)
			if diff := cmp.Diff(test.want, r.text); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			if len(r.text) > maxNote {
				t.Errorf("the event has %d bytes", len(r.text))
			}
			if len(test.deleted) == 0 {
				return
			}
			first := test.deleted[0]
			want := &corev1.ObjectReference{APIVersion: first.Group, Kind: first.Kind, Namespace: first.Namespace, Name: first.Name}
			if diff := cmp.Diff(want, r.related); diff != "" {
				t.Errorf("the related object (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCommit(t *testing.T) {
	letters := strings.Repeat("é", maxAuthor/2)
	for name, test := range map[string]struct {
		sync *v1alpha1.SyncStatus
		want plan.Commit
		// wantLog is part of a line of the context's logger.
		wantLog string
	}{
		"no status": {wantLog: `"msg"="m"`},
		"a commit": {
			sync: &v1alpha1.SyncStatus{Revision: "1a2b", Author: "Ada <ada@x>"},
			want: plan.Commit{Revision: "1a2b", Author: "Ada <ada@x>"}, wantLog: `"msg"="m" "revision"="1a2b" "author"="Ada <ada@x>"`,
		},
		"no author": {
			sync: &v1alpha1.SyncStatus{Revision: "1a2b"},
			want: plan.Commit{Revision: "1a2b"}, wantLog: `"msg"="m" "revision"="1a2b"`,
		},
		"no revision": {
			sync: &v1alpha1.SyncStatus{Author: "Ada"}, want: plan.Commit{Author: "Ada"}, wantLog: `"msg"="m"`,
		},
		"an author of the greatest length": {
			sync: &v1alpha1.SyncStatus{Revision: "1", Author: letters},
			want: plan.Commit{Revision: "1", Author: letters}, wantLog: letters,
		},
		"a longer author": {
			sync: &v1alpha1.SyncStatus{Revision: "1", Author: "x" + letters},
			want: plan.Commit{Revision: "1", Author: "x" + strings.Repeat("é", maxAuthor/2-2) + "…"}, wantLog: `é…"`,
		},
	} {
		got := CommitOf(test.sync)
		if got != test.want || !utf8.ValidString(got.Author) {
			t.Errorf("%s: the commit is %+v, want %+v", name, got, test.want)
		}
		var line string
		logger := funcr.New(func(_, args string) { line = args }, funcr.Options{})
		log.FromContext(WithCommit(log.IntoContext(t.Context(), logger), got)).Info("m")
		if !strings.Contains(line, test.wantLog) || (test.want.Revision == "") == strings.Contains(line, "revision") {
			t.Errorf("%s: the line is %s, want it to hold %s", name, line, test.wantLog)
		}
	}
}
