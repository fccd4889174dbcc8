package queue

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/workqueue"
)

func TestQueueKeepsEarlyKeys(t *testing.T) {
	var early Queue[string]
	early.Add("early")
	early.Add("early")
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	defer queue.ShutDown()
	if err := early.Source().Start(context.Background(), queue); err != nil {
		t.Fatal(err)
	}
	early.Add("late")
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
