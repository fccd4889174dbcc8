package controllers

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/workqueue"
)

func TestBoardTellsOfChangesOnly(t *testing.T) {
	board := NewBoard[SpaceKey, SpaceResult]()
	key := SpaceKey{Product: "product-1", Cluster: "c"}
	told := 0
	board.OnChange(func(got SpaceKey) {
		if got != key {
			t.Errorf("told of %v, want %v", got, key)
		}
		told++
	})
	for step, test := range []struct {
		do   func()
		want int
	}{
		{func() { board.Drop(key) }, 0},
		{func() { board.Set(key, SpaceResult{}) }, 1},
		{func() { board.Set(key, SpaceResult{}) }, 1},
		{func() { board.Set(key, SpaceResult{Namespaces: []string{"a"}}) }, 2},
		{func() { board.Set(key, SpaceResult{Namespaces: []string{"a"}, Err: errors.New("lost")}) }, 3},
		{func() { board.Set(key, SpaceResult{Namespaces: []string{"a"}, Err: errors.New("lost")}) }, 3},
		{func() { board.Drop(key) }, 4},
	} {
		test.do()
		if told != test.want {
			t.Errorf("step %d: told %d times, want %d", step, told, test.want)
		}
	}
	if _, known := board.Get(key); known {
		t.Error("a dropped key is still known")
	}
}

func TestWakerKeepsWhatCameBeforeTheController(t *testing.T) {
	var waker Waker[string]
	waker.Wake("early")
	waker.Wake("early")
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	defer queue.ShutDown()
	if err := waker.Source().Start(context.Background(), queue); err != nil {
		t.Fatal(err)
	}
	waker.Wake("late")
	var got []string
	for queue.Len() > 0 {
		key, _ := queue.Get()
		got = append(got, key)
		queue.Done(key)
	}
	if diff := cmp.Diff([]string{"early", "late"}, got); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
}
