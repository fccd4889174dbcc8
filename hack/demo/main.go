// Command demo shows the main job of Nautes on the real parts: a push to
// default.project becomes a deployment on a runtime cluster. It exits with 0
// when every step held, and says otherwise which did not, and why. With STAY=1 in
// its environment it keeps everything up until it is interrupted.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"nautes.io/nautes/internal/devstack"
)

// removals is how many acts, the last ones, take away what the others made.
const removals = 2

// budget bounds the whole demo: a step that hangs is a failure, not a wait.
const budget = 8 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("STAY") == "1"); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stay bool) (err error) {
	dir, err := os.MkdirTemp("", "nautes-demo-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	d := &demo{screen: newScreen(), dir: dir}
	defer func() { err = d.close(err) }()

	bounded, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	acts := []struct {
		title string
		play  func(context.Context) error
	}{
		{"The stage: real control planes, a real Git server, the real Argo CD and HNC", d.stage},
		{"The operator, with no more permissions than config/rbac grants", d.operator},
		{"The tenant repository: a provider and a cluster, by git push", d.tenant},
		{"The product: kubectl apply, then git push to default.project", d.product},
		{"The manifests: git push to the product's deployment repository", d.manifests},
		{"A change to a manifest, and a change to the runtime", d.changes},
		{"A bad file, explained, and mended", d.badFile},
		{"At rest: nothing is written", d.rest},
		{"The runtime is deleted, and everything is gone", d.removal},
		{"The runtime comes back, and the whole product is deleted with kubectl", d.productRemoval},
	}
	if stay {
		// Somebody wants to play: the acts that remove everything are left out.
		acts = acts[:len(acts)-removals]
	}
	for i, act := range acts {
		d.screen.act(i+1, act.title)
		if err := act.play(bounded); err != nil {
			return fmt.Errorf("act %d, %q: %w", i+1, act.title, err)
		}
		if err := d.alive(); err != nil {
			return fmt.Errorf("act %d, %q: %w", i+1, act.title, err)
		}
	}
	d.summary()
	if stay {
		return d.stay(ctx)
	}
	return nil
}

// demo is what the acts share.
type demo struct {
	screen  *screen
	dir     string
	stack   *devstack.Stack
	process *devstack.Operator
	figures []figure
}

type figure struct {
	what string
	took time.Duration
}

func (d *demo) measured(what string, took time.Duration) {
	d.figures = append(d.figures, figure{what, took})
	d.screen.done(what, took)
}

// alive tells whether everything that was started still runs.
func (d *demo) alive() error {
	if d.process != nil {
		if err := d.process.Err(); err != nil {
			return err
		}
	}
	return d.stack.Err()
}

func (d *demo) summary() {
	d.screen.say("")
	fmt.Fprintf(d.screen.out, "Every step held, in %s.\n", round(time.Since(d.screen.started)))
	for _, f := range d.figures {
		fmt.Fprintf(d.screen.out, "   %-66s %8s\n", f.what, round(f.took))
	}
}

// close ends what was started. The logs stay when the demo failed.
func (d *demo) close(err error) error {
	if d.process != nil {
		_ = d.process.Stop()
	}
	if d.stack != nil {
		_ = d.stack.Stop()
	}
	if err != nil {
		return fmt.Errorf("%w\nThe logs of all programs are in %s", err, filepath.Join(d.dir, "stack", "logs"))
	}
	return os.RemoveAll(d.dir)
}
