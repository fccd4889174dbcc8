package sensorfiles

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// cluster has Sensors, by name, with the files that they mount: in the cache, and in
// fact.
type cluster struct {
	cached, stored map[string]string
	// files are the ConfigMaps that exist.
	files []string
	err   error
	// asked counts the requests to the API server.
	asked int
}

func (c *cluster) Get(_ context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error) {
	if slices.Contains(c.files, id.Name) {
		return &metav1.PartialObjectMetadata{}, c.err
	}
	return nil, c.err
}

func (c *cluster) Eventing(_ context.Context, id plan.ID) (*observed.Eventing, error) {
	files, ok := c.cached[id.Name]
	if !ok || c.err != nil {
		return nil, c.err
	}
	return &observed.Eventing{Deployed: true, Files: files}, nil
}

func (c *cluster) ReadFiles(_ context.Context, sensor plan.ID) (string, error) {
	c.asked++
	return c.stored[sensor.Name], c.err
}

func sensor(name string) plan.ID {
	return plan.ID{Group: "argoproj.io", Kind: "Sensor", Namespace: "n", Name: name}
}

func files(name string) plan.ID { return build.SensorFilesID(sensor(""), name) }

func TestState(t *testing.T) {
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		conn    *cluster
		id      plan.ID
		want    *observed.Eventing
		wantErr error
	}{
		"a ConfigMap":        {conn: &cluster{err: boom}, id: files("f"), want: &observed.Eventing{Deployed: true}},
		"absent":             {conn: &cluster{}, id: sensor("s")},
		"unknown":            {conn: &cluster{err: boom}, id: sensor("s"), wantErr: boom},
		"without files":      {conn: &cluster{cached: map[string]string{"s": ""}}, id: sensor("s"), want: &observed.Eventing{Deployed: true}},
		"with its files":     {conn: &cluster{cached: map[string]string{"s": "f"}, files: []string{"f"}}, id: sensor("s"), want: &observed.Eventing{Deployed: true, Files: "f"}},
		"its files are gone": {conn: &cluster{cached: map[string]string{"s": "f"}, files: []string{"g"}}, id: sensor("s"), want: &observed.Eventing{Failed: true, Message: "its ConfigMap f is gone, and is made again when the runtime can be deployed"}},
	} {
		got, err := State(t.Context(), test.conn, test.id)
		if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.wantErr) {
			t.Errorf("%s: error %v, state (-want +got):\n%s", name, err, diff)
		}
	}
}

// The ConfigMap of a Sensor stays until the cache shows that the Sensor mounts another.
func TestKeep(t *testing.T) {
	boom := errors.New("boom")
	item := func(id plan.ID) plan.Item { return plan.Item{ID: id} }
	for name, test := range map[string]struct {
		conn    *cluster
		set     plan.Set
		want    []plan.ID
		wantErr error
	}{
		"no Sensor":               {conn: &cluster{err: boom}, set: plan.Set{Items: []plan.Item{item(files("f"))}}},
		"a new Sensor":            {conn: &cluster{}, set: plan.Set{Items: []plan.Item{item(sensor("s")), item(files("f"))}}},
		"the same files":          {conn: &cluster{cached: map[string]string{"s": "f"}}, set: plan.Set{Items: []plan.Item{item(sensor("s")), item(files("f"))}}},
		"new files":               {conn: &cluster{cached: map[string]string{"s": "old"}}, set: plan.Set{Items: []plan.Item{item(sensor("s")), item(files("f"))}}, want: []plan.ID{files("old")}},
		"the files of a kept one": {conn: &cluster{cached: map[string]string{"s": "old"}}, set: plan.Set{Keep: []plan.ID{sensor("s")}}, want: []plan.ID{sensor("s"), files("old")}},
		"kept already":            {conn: &cluster{cached: map[string]string{"s": "old"}}, set: plan.Set{Keep: []plan.ID{sensor("s"), files("old")}}, want: []plan.ID{sensor("s"), files("old")}},
		"unknown":                 {conn: &cluster{err: boom}, set: plan.Set{Items: []plan.Item{item(sensor("s"))}}, wantErr: boom},
	} {
		before := slices.Clone(test.set.Keep)
		got, err := Keep(t.Context(), test.conn, test.set)
		if diff := cmp.Diff(test.want, got.Keep, cmpopts.EquateEmpty()); diff != "" || !errors.Is(err, test.wantErr) {
			t.Errorf("%s: error %v, kept (-want +got):\n%s", name, err, diff)
		}
		if diff := cmp.Diff(before, test.set.Keep); diff != "" {
			t.Errorf("%s: the set itself was changed", name)
		}
	}
}

func TestDropUnused(t *testing.T) {
	boom := errors.New("boom")
	other := plan.ID{Kind: "Secret", Namespace: "n", Name: "x"}
	for name, test := range map[string]struct {
		conn      *cluster
		ids, want []plan.ID
		wantAsked int
		wantErr   error
	}{
		"all in use":          {conn: &cluster{cached: map[string]string{"s": "f"}}, ids: []plan.ID{sensor("s"), files("f"), other}, want: []plan.ID{sensor("s"), files("f"), other}},
		"no ConfigMap":        {conn: &cluster{}, ids: []plan.ID{sensor("s"), other}, want: []plan.ID{sensor("s"), other}},
		"unused":              {conn: &cluster{cached: map[string]string{"s": "f"}, stored: map[string]string{"s": "f"}}, ids: []plan.ID{sensor("s"), files("f"), files("old")}, want: []plan.ID{sensor("s"), files("f")}, wantAsked: 1},
		"the cache is behind": {conn: &cluster{cached: map[string]string{"s": "old"}, stored: map[string]string{"s": "f"}}, ids: []plan.ID{sensor("s"), files("f"), files("old")}, want: []plan.ID{sensor("s"), files("f")}, wantAsked: 1},
		"without its Sensor":  {conn: &cluster{}, ids: []plan.ID{files("f"), other}, want: []plan.ID{other}},
		"the cache fails":     {conn: &cluster{err: boom}, ids: []plan.ID{sensor("s"), files("f")}, want: []plan.ID{sensor("s"), files("f")}, wantErr: boom},
	} {
		got, err := DropUnused(t.Context(), test.conn, test.ids)
		if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.wantErr) || test.conn.asked != test.wantAsked {
			t.Errorf("%s: error %v, asked %d times, left (-want +got):\n%s", name, err, test.conn.asked, diff)
		}
	}
}
