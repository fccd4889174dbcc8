package reconcile

import (
	"errors"
	"testing"
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
